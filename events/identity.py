"""Event ids: a keyed 128-bit digest of what was sent, before scrubbing.

    id = SHA-256(64-byte key block ‖ digest of tenant, resource and scope ‖ row)[:16]

The key is made with the log and stored in it: a resend is recognised after a scrubbing rule
changed, and the digest cannot be guessed from what was scrubbed. A sender's idempotency key
takes the content's place for spans (`keyed_id`), and a fact's key for facts (`fact_id`).
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from events.schema import Fact

KEY_BYTES: Final = 64
ID_BYTES: Final = 16

_encode = msgspec.msgpack.Encoder().encode


def new_key() -> bytes:
    """A random key block; 64 bytes, one block of SHA-256."""
    return secrets.token_bytes(KEY_BYTES)


class Identity:
    """Makes the event ids of one log."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an identity key has {KEY_BYTES} bytes, not {len(key)}")
        self.key = key
        self._keyed = hashlib.sha256(key)

    def context_digest(self, tenant: str, context: bytes) -> bytes:
        """Digest of the tenant and of a context's bytes before scrubbing; 32 bytes."""
        return hashlib.sha256(tenant.encode() + b"\x00" + context).digest()

    def event_ids(self, context_digest: bytes, rows: Sequence[bytes]) -> list[bytes]:
        """The id of each row before scrubbing, under one context; 16 bytes each."""
        base = self._keyed.copy()
        base.update(context_digest)
        copy = base.copy
        ids = []
        for row in rows:
            digest = copy()
            digest.update(row)
            ids.append(digest.digest()[:ID_BYTES])
        return ids

    def keyed_id(
        self, tenant: str, tag: str, task_id: str, run_id: str, attempt: int, idempotency_key: str
    ) -> bytes:
        """The id of an event whose sender gave an idempotency key; 16 bytes."""
        return self.named_id("keyed", tenant, tag, task_id, run_id, attempt, idempotency_key)

    def fact_id(self, tenant: str, fact: Fact) -> bytes:
        """The id of a fact: its key, within its tenant, kind and subject; 16 bytes."""
        subject = tuple(sorted(fact.subject.items()))
        return self.named_id("fact", tenant, fact.kind, subject, fact.idempotency_key)

    def named_id(self, *parts: str | int | bytes | tuple[Any, ...]) -> bytes:
        """The id of a fact of our own, from the parts that make it unique; 16 bytes."""
        digest = self._keyed.copy()
        digest.update(_encode(parts))
        return digest.digest()[:ID_BYTES]

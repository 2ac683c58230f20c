"""Keyset cursors: where a list goes on, as one opaque string.

A cursor is bound to the tenant, the list and its filters. It holds no secret and grants nothing:
the tenant is always the caller's; the binding catches cursors that are used where they mean
nothing.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from projections.query.refusals import BadQuestion

LIMIT_BYTES: Final = 4096
Key = tuple[int, ...]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[bytes, tuple[int, ...]])


def binding(tenant: str, endpoint: str, filters: Sequence[Any]) -> bytes:
    """What a cursor is bound to, as 8 bytes."""
    return hashlib.sha256(_encoder.encode((tenant, endpoint, filters))).digest()[:8]


def write(bound: bytes, key: Key) -> str:
    """The cursor that goes on after `key`."""
    return base64.urlsafe_b64encode(_encoder.encode((bound, key))).rstrip(b"=").decode()


def read(bound: bytes, text: str, width: int) -> Key:
    """The key of a cursor that was written for the same list.

    Args:
        width: how many numbers the key has.

    Raises:
        BadQuestion: it is no cursor, or one of another tenant, list or filter.
    """
    try:
        if len(text) > LIMIT_BYTES:
            raise ValueError(text)
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found, key = _decoder.decode(data)
    except (ValueError, msgspec.DecodeError) as exc:
        raise BadQuestion([("cursor", "this is no cursor of ours")]) from exc
    if found != bound:
        raise BadQuestion(
            [("cursor", "it belongs to another list, filter, order or tenant: start without it")]
        )
    if len(key) != width or not all(-(1 << 63) <= item < 1 << 63 for item in key):
        raise BadQuestion([("cursor", "this is no cursor of ours")])
    return key

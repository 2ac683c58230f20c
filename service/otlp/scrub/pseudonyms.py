"""Pseudonyms: a keyed digest beside the kind, so that equal values stay equal and joinable.

Keys, tokens and passwords get none: who tries them out would know a hit. The digest is written
in letters, since digits behind `phone:` would be a telephone number again.
"""

import hashlib
from typing import Final

from service.otlp.scrub.kinds.addresses import EMAIL, IP, UUID
from service.otlp.scrub.kinds.identities import NATIONAL_ID
from service.otlp.scrub.kinds.numbers import CARD, IBAN, PHONE
from service.otlp.scrub.kinds.own import PRIVATE

_KINDS: Final = {
    f"[{kind}]".encode() for kind in (EMAIL, IP, UUID, NATIONAL_ID, CARD, IBAN, PHONE, PRIVATE)
}
_LETTERS: Final = bytes.maketrans(b"0123456789abcdef", b"bcdfghjklmnpqrst")
_DIGEST_BYTES: Final = 6
"""48 bits: of a million values, two are taken for one with a chance of one in 560."""
_BETWEEN: Final = b" -./()"


class Pseudonyms:
    """Makes the pseudonyms of one log, whose `key` has up to 64 bytes."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(key=key, digest_size=_DIGEST_BYTES)

    def named(self, match: bytes, replaced: bytes) -> bytes:
        """`replaced`, with the pseudonym of what it replaces in `match` behind the kind."""
        start = replaced.find(b"[")
        end = replaced.find(b"]", start) + 1
        kind = replaced[start:end]
        if kind not in _KINDS:
            return replaced
        private = match[start : len(match) - (len(replaced) - end)]
        return replaced[: end - 1] + b":" + self._of(private) + replaced[end - 1 :]

    def _of(self, private: bytes) -> bytes:
        """However it is written: case and what stands between digits do not count."""
        digest = self._keyed.copy()
        digest.update(private.lower().translate(None, _BETWEEN))
        return digest.hexdigest().encode().translate(_LETTERS)

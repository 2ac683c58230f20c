"""Attribute keys that say that their value is a secret, such as `db.password` or `x-api-key`.

Scrubbing scans the joined values of a batch, in which keys do not stand, and looking for such
keys in the rows would cost more than all of that scan. So decoders, which see each key anyway,
end the text of a row that has one with `MARK`, which the scan takes for a secret; the row is then
decoded and walked. The native decoder knows the same keys (`is_secret` in native/otlp.h).
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

from events.schema import Attributes, LogRecord, Span
from service.otlp.scrub.kinds.secrets import PASSWORD, TOKEN

MARK: Final = "secret=key"
_KNOWN_KEYS: Final = 4096
_KNOWN_CHARS: Final = 256  # of a key that is remembered: with their number, that bounds them
_NESTED: Final = frozenset({list, dict})
_find = re.compile(
    r"(?:(password|passwd|passphrase)|secret|token|authorization|credentials?|cookie"
    r"|(?:api|access|auth|secret|private|signing|encryption)[_.\-]?key)\Z",
    re.IGNORECASE | re.ASCII,
).search

_harmless: set[str] = set()
"""Keys that were looked at: a span has the keys of the span before it."""


def secret_kind(key: str) -> str | None:
    """What the value of `key` is by the key's name: a password, a token, or no secret."""
    return _known_kind(key) if len(key) <= _KNOWN_CHARS else _kind(key)


def _kind(key: str) -> str | None:
    found = _find(key)
    if found is None:
        return None
    return PASSWORD if found[1] else TOKEN


_known_kind = lru_cache(_KNOWN_KEYS)(_kind)


def names_secret(event: Span | LogRecord) -> bool:
    """Whether any attribute of `event`, nested ones too, has a key that names a secret."""
    if event.attributes and has_secret_key(event.attributes):
        return True
    if isinstance(event, LogRecord):
        return type(event.body) in _NESTED and _in_values((event.body,))
    return any(has_secret_key(part.attributes) for part in event.events) or any(
        has_secret_key(link.attributes) for link in event.links
    )


def has_secret_key(attributes: Attributes) -> bool:
    """Whether any of `attributes`, nested ones too, has a key that names a secret."""
    if not _harmless.issuperset(attributes):
        for key in attributes:
            if secret_kind(key) is not None:
                return True
            if len(key) <= _KNOWN_CHARS and len(_harmless) < _KNOWN_KEYS:
                _harmless.add(key)
    return _in_values(attributes.values())


def _in_values(values: Collection[Any]) -> bool:
    if _NESTED.isdisjoint(map(type, values)):
        return False
    return any(
        has_secret_key(value) if isinstance(value, dict) else _in_values(value)
        for value in values
        if isinstance(value, dict | list)
    )

"""Attribute keys whose values are not stored, whatever they say: what `--scrub-deny` names."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final

import msgspec
import re2

from events.errors import BadInput
from projections.mapping.rules.patterns import glob, is_pattern
from projections.mapping.rules.problems import Invalid
from service.otlp.scrub.kinds.own import PRIVATE
from service.otlp.scrub.pseudonyms import Pseudonyms

_KNOWN_KEYS: Final = 4096
_KNOWN_CHARS: Final = 256  # of a key that is remembered: with their number, that bounds them
_HIDDEN: Final = f"[{PRIVATE}]"
_is_hidden = re2.compile(rf"\[{PRIVATE}(?::[b-t]{{12}})?\]").fullmatch


class Denied:
    """The keys that patterns name, in which `*` is any text and `?` one character.

    Which rows have one is asked of their bytes: in these stands each key as it is, and decoders
    need not know of it. No pattern costs nothing.

    Raises:
        BadInput: a pattern is empty, or too long.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)
        try:
            self._tests = [(pattern, glob(_checked(pattern))) for pattern in self._patterns]
        except Invalid as exc:
            raise BadInput(f"--scrub-deny: {exc}") from exc
        self._by_key = lru_cache(_KNOWN_KEYS)(self._first)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_capture = True
        marks = b"|".join(re2.escape(_mark(pattern)) for pattern in self._patterns)
        self._search = re2.compile(marks, options).search

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def by(self, key: str) -> str | None:
        """The first pattern that names `key`; None: it may be stored."""
        return self._by_key(key) if len(key) <= _KNOWN_CHARS else self._first(key)

    def may_be_in(self, row: bytes) -> bool:
        """Whether the bytes of an event or context can have such a key; false is certain."""
        return bool(self._patterns) and self._search(row) is not None

    def those_of(self, rows: Sequence[bytes]) -> Iterator[int]:
        """The numbers of the rows that can have such a key, by one search of all of them."""
        if not self._patterns:
            return
        joined, ends = b"".join(rows), list(accumulate(map(len, rows)))
        at = 0
        while (found := self._search(joined, at)) is not None and found.start() < len(joined):
            number = bisect_right(ends, found.start())
            yield number
            at = ends[number]

    def _first(self, key: str) -> str | None:
        return next((pattern for pattern, names in self._tests if names(key)), None)


def hidden(value: Any, pseudonyms: Pseudonyms | None) -> Any:
    """What is stored in place of `value`; nothing of it is left, neither its form nor its size."""
    if value is None or (isinstance(value, str) and (not value or _is_hidden(value))):
        return value
    if pseudonyms is None or not isinstance(value, str):
        return _HIDDEN
    return pseudonyms.named(value.encode(), _HIDDEN.encode()).decode()


def _checked(pattern: str) -> str:
    if not pattern:
        raise Invalid("a pattern of keys is not empty; `*` names every key")
    return pattern


def _mark(pattern: str) -> bytes:
    """What stands in the bytes of every row with a key like this: the key, or a piece of it."""
    if not is_pattern(pattern):
        return msgspec.msgpack.encode(pattern)
    return max(pattern.replace("?", "*").split("*"), key=len).encode()

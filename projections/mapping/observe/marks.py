"""Byte marks: what a row must contain for a rule to want it, so that others are never decoded.

A row is msgpack: the name of an attribute stands in it behind its length, whatever its value.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import re2

from projections.mapping.rules.patterns import is_pattern
from projections.mapping.rules.rule import When

Wants = Callable[[bytes], bool]
_FEW: Final = 12
"""So many marks are searched one by one, which is the fastest way for few."""
FEW_IN_MANY: Final = 6
"""The same in the content of many rows, where a search takes longer than its start."""
_LEAST: Final = 4  # bytes of a prefix that are worth a search
_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1
_OPTIONS.max_mem = 64 << 20
_encode = msgspec.msgpack.Encoder().encode


def mark_of(whens: Iterable[When]) -> bytes | None:
    """The longest bytes that every row has which meets these conditions; None if there are none."""
    found = [mark for when in whens if (mark := _mark(when.source.own, when.wanted))]
    return max(found, key=len, default=None)


def name_mark(own: str) -> bytes | None:
    """The bytes of a row that has a value for an own source; None if any row may have one."""
    return _encode(own[5:]) if own.startswith("attr.") else None


def text_mark(text: str) -> bytes:
    """The bytes of a text in a row."""
    return _encode(text)


def _mark(own: str, wanted: Any) -> bytes | None:
    if own.startswith("attr.") and not _holds_without(wanted):
        return _encode(own[5:])
    if own in ("name", "event_name", "body") and isinstance(wanted, str) and wanted != "!":
        if not is_pattern(wanted):
            return _encode(wanted)
        prefix = wanted.replace("?", "*").partition("*")[0].encode()
        return prefix if len(prefix) >= _LEAST else None
    return None


def _holds_without(wanted: Any) -> bool:
    """Does a condition hold where the value is absent?"""
    return any(map(_holds_without, wanted)) if isinstance(wanted, list) else wanted == "!"


def any_of(marks: Sequence[bytes | None], few: int = _FEW) -> Wants:
    """Whether a row has one of these marks; a None among them wants every row.

    Up to `few` of them are searched one by one.
    """
    if None in marks:
        return _every
    distinct = sorted({mark for mark in marks if mark is not None})
    if len(distinct) <= few:
        return _one_of(distinct)
    pattern = re2.compile(b"|".join(map(re2.escape, distinct)), _OPTIONS)
    return lambda row: pattern.search(row) is not None


def _one_of(marks: Sequence[bytes]) -> Wants:
    few = tuple(marks)

    def wants(row: bytes) -> bool:
        for mark in few:  # noqa: SIM110 a generator takes twice as long, for every row
            if mark in row:
                return True
        return False

    return wants


def _every(_: bytes) -> bool:
    return True

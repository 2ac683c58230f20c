"""Times as senders write them, and integers that fit a column."""

from typing import Any, Final

from events.times import parse_iso8601
from projections.runs.values import whole_of

INT64_MAX: Final = (1 << 63) - 1


def saturated(number: int) -> int:
    """The nearest number that a column of 64 bits holds."""
    return max(-INT64_MAX, min(number, INT64_MAX))


def wrapped(number: int) -> int:
    """A sum modulo 2^64, signed: never refused by a column, and exact again after subtraction."""
    return ((number + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def parse_ns(value: Any) -> int | None:
    """Nanoseconds of an RFC 3339 text, of a number of nanoseconds, or of its decimal text."""
    whole = whole_of(value)
    if whole is not None:
        return whole if 0 < whole <= INT64_MAX else None
    if not isinstance(value, str):
        return None
    try:
        return parse_ns(parse_iso8601(value))
    except ValueError:
        return None

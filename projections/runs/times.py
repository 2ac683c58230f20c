"""Times as senders write them, and integers that fit a column."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

INT64_MAX: Final = (1 << 63) - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def saturated(number: int) -> int:
    """The nearest number that a column of 64 bits holds."""
    return max(-INT64_MAX, min(number, INT64_MAX))


def wrapped(number: int) -> int:
    """A sum modulo 2^64, signed: never refused by a column, and exact again after subtraction."""
    return ((number + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def parse_ns(value: Any) -> int | None:
    """Nanoseconds of an RFC 3339 text, of a number of nanoseconds, or of its decimal text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return value if 0 < value <= INT64_MAX else None
    if not isinstance(value, str):
        return None
    if value.isdecimal() and len(value) <= 19:
        return parse_ns(int(value))
    return _rfc3339_ns(value)


def _rfc3339_ns(text: str) -> int | None:
    whole, dot, rest = text.partition(".")
    fraction = ""
    if dot:
        fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        whole += rest[len(fraction) :]
    try:
        moment = datetime.fromisoformat(whole)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    ns = seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    return ns if 0 < ns <= INT64_MAX else None

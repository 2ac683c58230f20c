"""RFC 3339 at the edges, integer nanoseconds inside: the one reader and the one writer of times."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

SECOND_NS: Final = 1_000_000_000
_UNITS_NS: Final = {
    "ms": SECOND_NS // 1000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86400 * SECOND_NS,
    "w": 7 * 86400 * SECOND_NS,
}
_LIMIT_NS: Final = 1 << 63
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION: Final = re.compile(r"[.,]([0-9]*)")
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def parse_rfc3339(text: str) -> int:
    """The moment in ns since 1970 UTC; decimals beyond the ninth are cut.

    Raises:
        ValueError: `text` is no RFC 3339 time with a zone.
    """
    # A `+` that was not encoded in a URL arrives as a space.
    text = re.sub(r" (?=\d\d:\d\d$)", "+", text)
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text[:64]!r} is no RFC 3339 time such as 2026-02-03T04:05:06.789Z")
    try:
        return parse_iso8601(text)
    except ValueError as exc:
        raise ValueError(f"{text[:64]!r} is no RFC 3339 time: {exc}") from exc


def parse_iso8601(text: str) -> int:
    """The same for what senders write: a zone may lack (UTC), as may the time of day (midnight).

    Raises:
        ValueError: `text` is no time that `datetime.fromisoformat` knows.
    """
    # `fromisoformat` keeps microseconds only, and takes a capital Z only.
    fraction = _FRACTION.search(text)
    whole = text if fraction is None else text[: fraction.start()] + text[fraction.end() :]
    moment = datetime.fromisoformat(whole.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except OverflowError as exc:
        raise ValueError("no such moment") from exc
    return seconds * SECOND_NS + (int(fraction[1][:9].ljust(9, "0")) if fraction else 0)


def rfc3339(time_ns: int | None) -> str | None:
    """`time_ns` in UTC, with as many decimals (0, 3, 6 or 9) as it needs; None stays None."""
    if time_ns is None:
        return None
    seconds, rest_ns = divmod(time_ns, SECOND_NS)
    try:
        whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)
    except (ValueError, OverflowError, OSError):
        return None
    digits = 9 if rest_ns % 1000 else 6 if rest_ns % 1_000_000 else 3 if rest_ns else 0
    return f"{whole}.{rest_ns:09}"[: 20 + digits if digits else 19] + "Z"


def seconds(duration_ns: float | None) -> float | None:
    """A duration in seconds; None stays None."""
    return None if duration_ns is None else duration_ns / SECOND_NS


def parse_duration(text: str) -> int | None:
    """The nanoseconds of `90s`, `15m`, `1h30m`, `2d` or `1w`; None if `text` is no duration, or
    one of 292 years or more, which 64 bits do not hold."""
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    total_ns = sum(float(number) * _UNITS_NS[unit] for number, unit in parts)
    return int(total_ns) if total_ns < _LIMIT_NS else None


def human_duration(duration_ns: float) -> str:
    """Two significant parts: `850 µs`, `12.3 ms`, `4.20 s`, `3m 05s`, `2h 07m`, `5d 03h`."""
    if duration_ns < 0:
        return "-" + human_duration(-duration_ns)
    if duration_ns < 59.95 * SECOND_NS:
        return _short_duration(duration_ns)
    whole_s = round(duration_ns / SECOND_NS)
    if whole_s < 3600:
        return f"{whole_s // 60}m {whole_s % 60:02}s"
    if whole_s < 86400:
        return f"{whole_s // 3600}h {whole_s % 3600 // 60:02}m"
    return f"{whole_s // 86400}d {whole_s % 86400 // 3600:02}h"


def _short_duration(duration_ns: float) -> str:
    if duration_ns < 1000:
        return f"{duration_ns:.0f} ns" if duration_ns else "0 s"
    for unit, size_ns in (("µs", 1e3), ("ms", 1e6)):
        if duration_ns < 999.5 * size_ns:
            return f"{duration_ns / size_ns:.3g} {unit}"
    seconds = duration_ns / SECOND_NS
    return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"

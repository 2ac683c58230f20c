"""Times and durations as people write and read them; nanoseconds inside.

Accepted as a moment: RFC 3339 (`2026-02-03T04:05:06Z`, a date alone is midnight UTC), `now`, or
an age such as `90s`, `15m`, `1h30m`, `2d`, `1w`.
"""

import re
from typing import Final

from events.errors import BadInput
from events.times import SECOND_NS, parse_duration, parse_rfc3339

_YEAR_S: Final = 366 * 86400
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def parse_moment(text: str, now_ns: int) -> int:
    """The moment that `text` names, in ns since 1970 UTC.

    Raises:
        BadInput: `text` is neither RFC 3339 nor an age.
    """
    text = text.strip()
    if text == "now":
        return now_ns
    age = parse_duration(text)
    if age is not None:
        return now_ns - age
    try:
        return parse_rfc3339(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError as exc:
        raise BadInput(f"{exc}; an age such as 15m or 2d will do, too") from exc


def parse_seconds(option: str, text: str) -> float:
    """The seconds that an option's `text` names: a number of them, or such as `90s` or `1h30m`.

    Raises:
        BadInput: it names no time above 0, or one beyond a year.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = (parse_duration(text.strip()) or 0) / SECOND_NS
    if not 0 < seconds <= _YEAR_S:
        raise BadInput(f"{option} {text}: write a time above 0, such as 30, 90s, 15m or 1h30m")
    return seconds


def human_age(time_ns: int, now_ns: int) -> str:
    """How long ago `time_ns` was, in one part: `3s ago`, `5m ago`, `in 2h`."""
    distance_s = abs(now_ns - time_ns) // SECOND_NS
    if distance_s < 1:
        return "now"
    for unit, size_s in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if distance_s >= (2 * size_s if unit == "w" else size_s):
            text = f"{distance_s // size_s}{unit}"
            break
    return f"{text} ago" if time_ns <= now_ns else f"in {text}"


def human_bytes(size_bytes: float) -> str:
    """`512 B`, `1.5 KiB`, `20 MiB`."""
    if size_bytes < 1024:
        return f"{size_bytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size_bytes /= 1024
        if size_bytes < 1000 or unit == "TiB":
            break
    return f"{size_bytes:.{0 if size_bytes >= 99.95 else 1}f} {unit}"

"""When alerts are seen and not told: once, or at times of day in a zone."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from events.times import SECOND_NS, parse_rfc3339
from service.alerts.rule import Maintenance

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_muted(windows: Iterable[Maintenance], rule: str, now_ns: int) -> bool:
    """Whether notices of `rule` are held back at this moment."""
    return any(
        (not window.rules or rule in window.rules) and covers(window, now_ns) for window in windows
    )


def covers(window: Maintenance, now_ns: int) -> bool:
    """Whether the moment lies in the window.

    Raises:
        ValueError: its times are none, or of two kinds.
    """
    begin, end = _time_of_day(window.begin), _time_of_day(window.end)
    if begin is None or end is None:
        if begin is not end or window.days:
            raise ValueError("`from` and `until` are both times of day (22:00), or both RFC 3339")
        return parse_rfc3339(window.begin) <= now_ns < parse_rfc3339(window.end)
    zone = ZoneInfo(window.zone)
    now = datetime.fromtimestamp(now_ns // SECOND_NS, UTC).astimezone(zone)
    days = window.days or _DAYS
    for began in (now.date(), now.date() - timedelta(days=1)):  # it may last over midnight
        first = datetime.combine(began, begin, zone)
        last = datetime.combine(began + timedelta(days=end <= begin), end, zone)
        if _DAYS[began.weekday()] in days and first <= now < last:
            return True
    return False


def _time_of_day(text: str) -> time | None:
    try:
        return time.fromisoformat(text).replace(tzinfo=None) if "T" not in text else None
    except ValueError:
        return None

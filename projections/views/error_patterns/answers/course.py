"""How an error goes on: its state and trend, from how often it was seen in each hour.

Pure: the same counts, decisions and moment give the same, so nothing is stored and a rebuild
changes nothing. The words are explained in docs/errors.md.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

State = Literal["new", "ongoing", "escalating", "regressed", "resolved", "ignored"]
Trend = Literal["rising", "steady", "falling"]
DAY_H: Final = 24
USUAL_DAYS: Final = 7
QUIET_H: Final = 14 * DAY_H
"""After so long without an occurrence an error counts as resolved."""
NEW_H: Final = DAY_H
"""So long after its first occurrence an error is new."""
REGRESSED_H: Final = 7 * DAY_H
"""So long after it came back an error is regressed, then one that goes on."""
LOOK_BACK_H: Final = QUIET_H + REGRESSED_H
_FACTOR: Final = 2
_AT_LEAST: Final = 5


class Course(NamedTuple):
    """What is concluded from the counts. `usual_day`: the mean of the seven days before."""

    state: State
    trend: Trend
    last_day: int
    usual_day: float


def course_of(
    hours: Sequence[tuple[int, int]], first_hour: int, last_hour: int, now_hour: int
) -> Course:
    """The course of an error.

    Args:
        hours: (hour since 1970, occurrences) of the last `LOOK_BACK_H` hours, ascending.
        first_hour: of the first occurrence.
        last_hour: of the last occurrence.
        now_hour: which it is now.
    """
    since = now_hour - DAY_H
    last_day = sum(count for hour, count in hours if hour > since)
    start = max(since - USUAL_DAYS * DAY_H, first_hour - 1)
    days = (since - start) / DAY_H
    before = sum(count for hour, count in hours if start < hour <= since)
    usual = before / max(days, 1.0) if days > 0 else 0.0
    trend = _trend(last_day, usual)
    return Course(_state(hours, first_hour, last_hour, now_hour, trend), trend, last_day, usual)


def _trend(last_day: int, usual: float) -> Trend:
    if last_day >= _FACTOR * usual and last_day - usual >= _AT_LEAST:
        return "rising"
    if last_day * _FACTOR <= usual and usual - last_day >= _AT_LEAST:
        return "falling"
    return "steady"


def _state(
    hours: Sequence[tuple[int, int]], first_hour: int, last_hour: int, now_hour: int, trend: Trend
) -> State:
    if now_hour - last_hour > QUIET_H:
        return "resolved"
    if now_hour - first_hour <= NEW_H:
        return "new"
    if _came_back(hours, first_hour, now_hour):
        return "regressed"
    return "escalating" if trend == "rising" else "ongoing"


def _came_back(hours: Sequence[tuple[int, int]], first_hour: int, now_hour: int) -> bool:
    """Whether it was seen lately for the first time after a long silence."""
    before = first_hour if not hours or hours[0][0] == first_hour else None
    for hour, _ in hours:
        silence = hour - (before if before is not None else now_hour - LOOK_BACK_H)
        if silence > QUIET_H and now_hour - hour <= REGRESSED_H:
            return True
        before = hour
    return False

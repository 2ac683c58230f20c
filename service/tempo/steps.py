"""The steps of time that figures are told for, as Tempo cuts them.

A step holds what starts after its beginning and until its end, the end included, and is told by its
end. Steps begin at whole multiples of their length, so that an answer looks the same when it is
asked for again a second later.
"""

import re
from typing import Final, NamedTuple

from events.errors import BadInput

SECOND_NS: Final = 10**9
MOST_STEPS: Final = 11_000
_WANTED: Final = 240
_ROUND_S: Final = (3600, 300, 60, 15, 5, 1)
_DEFAULT_NS: Final = 3600 * SECOND_NS
_MILLI_NS: Final = 10**6
_SHORTEST_NS: Final = 50 * _MILLI_NS
_MOST_S: Final = 1 << 33
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?(?:ms|h|m|s))+")
_PART: Final = re.compile(r"(\d+(?:\.\d*)?)(ms|h|m|s)")
_UNITS_NS: Final = {"ms": _MILLI_NS, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS}


class Steps(NamedTuple):
    """`step_count` steps of `step_ns`, the first of which begins behind `after_ns`."""

    after_ns: int
    step_ns: int
    step_count: int

    @property
    def last_ns(self) -> int:
        """The end of the last."""
        return self.after_ns + self.step_count * self.step_ns

    def of(self, at_ns: int) -> int:
        """The number of the step that a moment is in."""
        return (at_ns - self.after_ns - 1) // self.step_ns

    def end_ms(self, number: int) -> int:
        """By what a step is told: its end, in milliseconds since 1970."""
        return (self.after_ns + (number + 1) * self.step_ns) // _MILLI_NS


def bounds_of(start_s: int | None, end_s: int | None, since: str, now_ns: int) -> tuple[int, int]:
    """Beginning and end of what is asked; the last hour, or the time `since`, where it is not said.

    Raises:
        BadInput: it ends before it begins.
    """
    end_ns = now_ns if end_s is None else end_s * SECOND_NS
    back_ns = _duration_ns("since", since) if since else _DEFAULT_NS
    start_ns = max(min(end_ns, now_ns) - back_ns, 0) if start_s is None else start_s * SECOND_NS
    if start_ns >= end_ns:
        raise BadInput(f"start: expected a time before the end, {end_ns // SECOND_NS}")
    return start_ns, end_ns


def whole(start_ns: int, end_ns: int) -> Steps:
    """All of a time as one step; its first nanosecond is included."""
    return Steps(start_ns - 1, end_ns - start_ns + 1, 1)


def steps_of(start_ns: int, end_ns: int, step: str) -> Steps:
    """The steps of a time; `step` is a number of seconds or a duration, or empty.

    Raises:
        BadInput: there is no such step, or there would be too many.
    """
    step_ns = _duration_ns("step", step) if step else _usual_ns(end_ns - start_ns)
    first, last = start_ns // step_ns, -(-end_ns // step_ns)
    if last - first > MOST_STEPS:
        raise BadInput(
            f"step: {last - first:,} steps are more than {MOST_STEPS:,}; ask for longer ones"
        )
    return Steps(first * step_ns, step_ns, last - first)


def _usual_ns(width_ns: int) -> int:
    """About as many steps as a panel is wide, of a round length."""
    wanted_ns = width_ns // _WANTED
    if width_ns < 60 * SECOND_NS:
        return max(wanted_ns // _SHORTEST_NS * _SHORTEST_NS, _SHORTEST_NS)
    for round_s in _ROUND_S:
        if wanted_ns > round_s * SECOND_NS:
            return wanted_ns // (round_s * SECOND_NS) * (round_s * SECOND_NS)
    return SECOND_NS


def _duration_ns(name: str, text: str) -> int:
    """`90`, `1.5` (seconds), `500ms`, `1m30s`; whole milliseconds."""
    ns = 0.0
    if re.fullmatch(r"\d+(?:\.\d*)?", text):
        ns = float(text) * SECOND_NS
    elif _DURATION.fullmatch(text):
        ns = sum(float(number) * _UNITS_NS[unit] for number, unit in _PART.findall(text))
    if not _MILLI_NS <= ns <= _MOST_S * SECOND_NS:
        raise BadInput(f"{name}: expected a time like 30s, 1m30s or 15, not {text[:40]!r}")
    return round(ns) // _MILLI_NS * _MILLI_NS

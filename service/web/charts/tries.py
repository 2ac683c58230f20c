"""The tries of a run along time: waiting in a queue, running, backing off, overlapping."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from events.times import human_duration
from service.web.charts.scale import Bar, Scale
from service.web.statuses import kind_of


class Lane(NamedTuple):
    """One try. `wait` is its time in the queue, `backoff` the pause since the try before it,
    `overlap` where both ran at once; `told` says the same in words.

    Many orchestrators repeat with every try when the run was queued. Nothing waits in a queue while
    the try before it runs, so of such a wait only the pause since that one's end is drawn and told.
    """

    attempt: Any
    kind: str
    run: Bar
    wait: Bar | None
    backoff: Bar | None
    overlap: Bar | None
    told: str


class Tries(NamedTuple):
    """All of them, in the order of their numbers, on one scale."""

    scale: Scale
    lanes: Sequence[Lane]

    @property
    def shows(self) -> set[str]:
        """Which kinds of stretches there are, for the legend."""
        names = ("wait", "backoff", "overlap")
        return {name for name in names if any(getattr(lane, name) for lane in self.lanes)}


def tries_of(attempts: Iterable[Any], now_ns: int) -> Tries | None:
    """The chart of a run's attempts; None of none. One that runs reaches to now."""
    ordered = sorted(attempts, key=lambda attempt: attempt.attempt)
    if not ordered:
        return None
    ends = [end_of(attempt, now_ns) for attempt in ordered]
    begins = [_least(attempt.queued_ns, attempt.started_ns) for attempt in ordered]
    scale = Scale(min(begins), max(ends))
    lanes: list[Lane] = []
    before_ns: int | None = None
    for attempt, end_ns in zip(ordered, ends, strict=True):
        lanes.append(_lane(scale, attempt, end_ns, before_ns))
        before_ns = end_ns if before_ns is None else max(before_ns, end_ns)
    return Tries(scale, lanes)


def end_of(attempt: Any, now_ns: int) -> int:
    """When it ended, or now while it runs; never before its start."""
    started_ns: int = attempt.started_ns
    if attempt.ended_ns is not None:
        return max(int(attempt.ended_ns), started_ns)
    return max(now_ns, started_ns) if attempt.status == "running" else started_ns


def _least(*times: int | None) -> int:
    return min(time for time in times if time is not None)


def _lane(scale: Scale, attempt: Any, end_ns: int, before_ns: int | None) -> Lane:
    started_ns, queued_ns = attempt.started_ns, attempt.queued_ns
    if queued_ns is not None and before_ns is not None and queued_ns < before_ns:
        queued_ns = None
    told = [f"{attempt.status.replace('_', ' ')} after {human_duration(end_ns - started_ns)}"]
    wait = backoff = overlap = None
    if queued_ns is not None and queued_ns < started_ns:
        wait = scale.bar(queued_ns, started_ns)
        told.append(f"{human_duration(started_ns - queued_ns)} in the queue")
    first_ns = _least(queued_ns, started_ns)
    if before_ns is not None and before_ns < first_ns:
        backoff = scale.bar(before_ns, first_ns, least=0)
        told.append(f"{human_duration(first_ns - before_ns)} after the try before it")
    elif before_ns is not None and started_ns < before_ns:
        overlap = scale.bar(started_ns, min(before_ns, end_ns))
        told.append("began before the try before it ended")
    run = scale.bar(started_ns, end_ns)
    return Lane(attempt, kind_of(attempt.status), run, wait, backoff, overlap, ", ".join(told))

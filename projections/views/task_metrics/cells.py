"""Counters and buckets of one scope, and what a run adds to each of its scopes."""

from collections.abc import Container, Iterable, Iterator
from operator import add
from typing import Final

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.changes import Change
from projections.runs.scopes import HOUR, HOUR_NS, Rest, Scope, Sources, scopes_of
from projections.runs.summary import Run
from projections.storage.buckets import Counts, bucket_of

COUNTERS: Final = (
    "executions", "completed", "failed", "timed_out", "abandoned", "cancelled", "skipped",
    "retries", "runs", "completed_runs", "failed_runs", "recovered_runs", "anomalies",
    "wait_count", "duration_count", "wait_sum_ns", "duration_sum_ns",
)  # fmt: skip
_OF_STATUS: Final = {
    words.COMPLETED: COUNTERS.index("completed"),
    words.FAILED: COUNTERS.index("failed"),
    words.TIMED_OUT: COUNTERS.index("timed_out"),
    words.ABANDONED: COUNTERS.index("abandoned"),
    words.CANCELLED: COUNTERS.index("cancelled"),
    words.SKIPPED: COUNTERS.index("skipped"),
}
_EXECUTIONS, _RETRIES, _RUNS, _COMPLETED_RUNS, _FAILED_RUNS, _RECOVERED_RUNS = map(
    COUNTERS.index,
    ("executions", "retries", "runs", "completed_runs", "failed_runs", "recovered_runs"),
)
_ANOMALIES, _DURATION_COUNT, _DURATION_SUM = map(
    COUNTERS.index, ("anomalies", "duration_count", "duration_sum_ns")
)
_WAIT_COUNT, _WAIT_SUM = map(COUNTERS.index, ("wait_count", "wait_sum_ns"))
_UNTIMED: Final = words.FLAG_STATUS_INFERRED


class Cell:
    """Counters in the order of `COUNTERS`, and buckets of durations and of waits in the queue."""

    __slots__ = ("buckets", "counters", "waits")

    def __init__(
        self,
        counters: list[int] | None = None,
        buckets: Counts | None = None,
        waits: Counts | None = None,
    ) -> None:
        self.counters = counters or [0] * len(COUNTERS)
        self.buckets = {} if buckets is None else buckets
        self.waits = {} if waits is None else waits

    def __bool__(self) -> bool:
        counters = self.counters
        if counters[_EXECUTIONS] or counters[_RUNS]:  # most: a task is seldom left by all
            return True
        return any(counters) or any(self.buckets.values()) or any(self.waits.values())

    def plus(self, other: "Cell") -> "Cell":
        """Both together, as a new cell that is not to be changed: it may share their buckets."""
        counters = list(map(add, self.counters, other.counters))
        return Cell(counters, _sum(self.buckets, other.buckets), _sum(self.waits, other.waits))

    def add_attempt(self, attempt: Attempt, sign: int) -> None:
        """Count an ended attempt."""
        counters = self.counters
        counters[_EXECUTIONS] += sign
        of_status = _OF_STATUS.get(attempt.status)
        if of_status is not None:
            counters[of_status] += sign
        if attempt.retry_of is not None:
            counters[_RETRIES] += sign
        assert attempt.ended_ns is not None
        duration_ns = attempt.ended_ns - attempt.started_ns
        if duration_ns < 0:
            counters[_ANOMALIES] += sign
        elif not attempt.flags & _UNTIMED and attempt.status != words.SKIPPED:
            counters[_DURATION_COUNT] += sign
            counters[_DURATION_SUM] += sign * duration_ns
            bucket = bucket_of(duration_ns)
            self.buckets[bucket] = self.buckets.get(bucket, 0) + sign
        if attempt.queued_ns is not None:
            self._add_wait(attempt.started_ns - attempt.queued_ns, sign)

    def _add_wait(self, wait_ns: int, sign: int) -> None:
        counters = self.counters
        if wait_ns < 0:
            counters[_ANOMALIES] += sign
            return
        counters[_WAIT_COUNT] += sign
        counters[_WAIT_SUM] += sign * wait_ns
        bucket = bucket_of(wait_ns)
        self.waits[bucket] = self.waits.get(bucket, 0) + sign

    def add_run(self, run: Run, sign: int) -> None:
        """Count a run that has an ended attempt here."""
        counters = self.counters
        counters[_RUNS] += sign
        if run.status == words.COMPLETED:
            counters[_COMPLETED_RUNS] += sign
        elif run.status in words.FAILURES:
            counters[_FAILED_RUNS] += sign
        if run.recovered:
            counters[_RECOVERED_RUNS] += sign


def _sum(one: Counts, other: Counts) -> Counts:
    if not other:
        return one
    total = one.copy()
    for bucket, count in other.items():
        total[bucket] = total.get(bucket, 0) + count
    return total


def add_change(
    cells: dict[Scope, Cell], change: Change, sources: Sources, kinds: Container[int]
) -> None:
    """Add what a change says to the cells of one task, in scopes of some kinds."""
    touched: dict[Scope, None] = {}
    for sign, attempts in ((-1, change.gone), (1, change.came)):
        for attempt in attempts:
            if attempt.ended_ns is not None:
                for scope in scopes_of(attempt, sources):
                    if scope[0] in kinds:
                        touched[scope] = None
                        _cell(cells, scope).add_attempt(attempt, sign)
    rest = Rest(entered=tuple(touched)) if change.rest is None else change.rest
    if change.old is not None:
        for scope in (*rest.left, *rest.stayed):
            if scope[0] in kinds:
                _cell(cells, scope).add_run(change.old, -1)
    if change.new is not None:
        for scope in (*rest.entered, *rest.stayed):
            if scope[0] in kinds:
                _cell(cells, scope).add_run(change.new, 1)


def hours_of(changes: Iterable[Change]) -> Iterator[int]:
    """The hours that some changes touch, one or more times."""
    for change in changes:
        for attempts in (change.gone, change.came):
            yield from (attempt.started_ns // HOUR_NS for attempt in attempts)
        if change.rest is not None:
            for scopes in (change.rest.entered, change.rest.left, change.rest.stayed):
                yield from (key for kind, key in scopes if kind == HOUR)


def _cell(cells: dict[Scope, Cell], scope: Scope) -> Cell:
    cell = cells.get(scope)
    if cell is None:
        cell = cells[scope] = Cell()
    return cell


def cell_of(run: Run, attempt: Attempt) -> Cell:
    """What a run of one ended attempt adds, to each of its scopes alike."""
    cell = Cell()
    cell.add_attempt(attempt, 1)
    cell.add_run(run, 1)
    return cell


def cells_of_one(run: Run, attempt: Attempt, sources: Sources) -> dict[Scope, Cell]:
    """The cells of a run of one attempt; one cell stands in all, so they are not to be changed."""
    if attempt.ended_ns is None:
        return {}
    return dict.fromkeys(scopes_of(attempt, sources), cell_of(run, attempt))

"""What a run is as a whole: sums, extremes and lists over its attempts, which only grow.

The last attempt, by number, stands apart: it is the one that changes while it runs.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final, Generic, TypeVar

import msgspec

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.times import saturated
from projections.storage.columns import maker

LISTED_LIMIT: Final = 100
"""Traces, parents and causes that a run lists, at most: the first ones."""

_T = TypeVar("_T", bytes, str)


class Run(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run. The columns of table `run`, named alike."""

    status: int
    attempts: int
    recovered: bool
    backfilled: bool
    last_started_ns: int
    first_started_ns: int | None
    last_ended_ns: int | None
    queued_ns: int | None
    total_execution_ns: int
    wall_clock_ns: int | None
    idle_ns: int | None
    overlap_ns: int
    progress: float | None
    source_no: int | None
    error_no: int | None
    message_no: int | None
    group_id: str | None
    name: str | None
    trace_ids: tuple[bytes, ...]
    parents: tuple[str, ...]
    causes: tuple[str, ...]
    left_out: int = 0  # attempts that have no rows: projections/runs/long/left_out.py

    @property
    def completed(self) -> bool:
        return self.status == words.COMPLETED


_run_of_attempt = maker(
    Run, Attempt, own=("status",),
    attempts=1, recovered=False, idle_ns=0, overlap_ns=0, left_out=0,
)  # fmt: skip


class _FirstFew(Generic[_T]):
    """The items of the lowest ranks, without repetition, in their order."""

    __slots__ = ("_highest", "_items", "_ranks")

    def __init__(self) -> None:
        self._ranks: dict[_T, tuple[int, int]] = {}
        self._highest: tuple[int, int] | None = None  # set while the list is full
        self._items: tuple[_T, ...] | None = ()

    def add(self, number: int, items: Iterable[_T]) -> None:
        """Add what an attempt lists."""
        for place, item in enumerate(items):
            self._add((number, place), item)

    def _add(self, rank: tuple[int, int], item: _T) -> None:
        held = self._ranks.get(item)
        if held is not None:
            if rank >= held:
                return
        elif self._highest is not None:
            if rank > self._highest:
                return
            del self._ranks[max(self._ranks, key=self._ranks.__getitem__)]
        self._ranks[item] = rank
        self._items = None
        full = len(self._ranks) == LISTED_LIMIT
        self._highest = max(self._ranks.values()) if full else None

    def items_with(self, last: tuple[_T, ...]) -> tuple[_T, ...]:
        """All of them, and those of the last attempt behind."""
        if self._items is None:
            self._items = tuple(sorted(self._ranks, key=self._ranks.__getitem__))
        if len(self._items) == LISTED_LIMIT or all(item in self._ranks for item in last):
            return self._items
        return tuple(dict.fromkeys(chain(self._items, last)))[:LISTED_LIMIT]


class Totals:
    """Sums and extremes over the attempts of a run but its last; they may come in any order."""

    __slots__ = (
        "attempts", "backfilled", "causes", "failed", "failure", "first_started_ns", "group",
        "last_ended_ns", "last_started_ns", "name", "parents", "queued_ns", "total_ns", "traces",
    )  # fmt: skip

    def __init__(self) -> None:
        self.attempts = self.failed = self.total_ns = 0
        self.backfilled = False
        self.first_started_ns: int | None = None
        self.last_started_ns: int | None = None
        self.last_ended_ns: int | None = None
        self.queued_ns: int | None = None
        self.failure: Attempt | None = None  # the last one that tells an error
        self.group: Attempt | None = None  # the last one that names a group
        self.name: Attempt | None = None
        self.traces: _FirstFew[bytes] = _FirstFew()
        self.parents: _FirstFew[str] = _FirstFew()
        self.causes: _FirstFew[str] = _FirstFew()

    def add(self, attempt: Attempt) -> None:
        """Count one attempt more."""
        self.attempts += 1
        self.failed += attempt.failed
        self.total_ns += attempt.duration_ns
        self.backfilled |= attempt.backfilled
        self.first_started_ns = _least(self.first_started_ns, attempt.started_ns)
        self.last_started_ns = _most(self.last_started_ns, attempt.started_ns)
        self.last_ended_ns = _most(self.last_ended_ns, attempt.ended_ns)
        self.queued_ns = _least(self.queued_ns, attempt.queued_ns)
        if attempt.error_no is not None:
            self.failure = _later(self.failure, attempt)
        if attempt.group_id:
            self.group = _later(self.group, attempt)
        if attempt.name is not None:
            self.name = _later(self.name, attempt)
        self.traces.add(attempt.number, (attempt.trace_id,))
        if attempt.more is not None:
            self.parents.add(attempt.number, attempt.more.parents)
            self.causes.add(attempt.number, attempt.more.causes)

    def run_with(self, last: Attempt, queued_ns: int | None) -> Run:
        """The run whose last attempt this is; `queued_ns`: when it was put into a queue, last."""
        first_started = _least(self.first_started_ns, last.started_ns)
        last_started = _most(self.last_started_ns, last.started_ns)
        last_ended = _most(self.last_ended_ns, last.ended_ns)
        assert first_started is not None
        assert last_started is not None
        total = saturated(self.total_ns + last.duration_ns)
        wall = None if last_ended is None else last_ended - first_started
        status = last.status
        queued_again = (queued_ns or 0) > (last.ended_ns or last.started_ns)
        if last.failed and (last.will_retry or queued_again):
            status = words.RETRYING
        failure = last if last.error_no is not None else self.failure
        group = last if last.group_id else self.group
        name = last if last.name is not None else self.name
        more = last.more
        return Run(
            status=status,
            attempts=self.attempts + 1,
            recovered=status == words.COMPLETED and self.failed > 0,
            backfilled=self.backfilled or last.backfilled,
            last_started_ns=last_started,
            first_started_ns=first_started,
            last_ended_ns=last_ended,
            queued_ns=_least(_least(self.queued_ns, last.queued_ns), queued_ns),
            total_execution_ns=total,
            wall_clock_ns=wall,
            idle_ns=None if wall is None else max(0, wall - total),
            overlap_ns=0 if wall is None else max(0, total - max(0, wall)),
            progress=last.progress,
            source_no=last.source_no,
            error_no=None if failure is None else failure.error_no,
            message_no=None if failure is None else failure.message_no,
            group_id=None if group is None else group.group_id,
            name=None if name is None else name.name,
            trace_ids=self.traces.items_with((last.trace_id,)),
            parents=self.parents.items_with(() if more is None else more.parents),
            causes=self.causes.items_with(() if more is None else more.causes),
        )


def run_of_one(attempt: Attempt) -> Run:
    """The run of one ended attempt that was never queued.

    A short way to `Totals().run_with(attempt, None)`; tests/contract/test_long_runs.py tries both.
    """
    started_ns, ended_ns, more, status = (
        attempt.started_ns, attempt.ended_ns, attempt.more, attempt.status,
    )  # fmt: skip
    assert ended_ns is not None
    wall = ended_ns - started_ns
    return _run_of_attempt(
        attempt,
        status=words.RETRYING if attempt.will_retry and status in words.FAILURES else status,
        backfilled=attempt.backfilled,
        last_started_ns=started_ns,
        first_started_ns=started_ns,
        last_ended_ns=ended_ns,
        total_execution_ns=wall if wall > 0 else 0,
        wall_clock_ns=wall,
        trace_ids=(attempt.trace_id,),
        parents=() if more is None else tuple(dict.fromkeys(more.parents))[:LISTED_LIMIT],
        causes=() if more is None else tuple(dict.fromkeys(more.causes))[:LISTED_LIMIT],
    )


def queued_run(queued_ns: int) -> Run:
    """A run that has no attempt yet."""
    return Run(
        status=words.QUEUED, attempts=0, recovered=False, backfilled=False,
        last_started_ns=queued_ns, first_started_ns=None, last_ended_ns=None, queued_ns=queued_ns,
        total_execution_ns=0, wall_clock_ns=None, idle_ns=None, overlap_ns=0, progress=None,
        source_no=None, error_no=None, message_no=None, group_id=None, name=None,
        trace_ids=(), parents=(), causes=(),
    )  # fmt: skip


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or (other is not None and other < one):
        return other
    return one


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or (other is not None and other > one):
        return other
    return one


def _later(one: Attempt | None, other: Attempt) -> Attempt:
    return other if one is None or other.number > one.number else one

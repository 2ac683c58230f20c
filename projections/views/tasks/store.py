"""Table `task`: counters by new minus old, and the state of the latest run.

The latest run is the one whose newest attempt started last; of two, the one with the larger
digest. If it moves back in time or goes, the runs of the task are searched again.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from projections.runs import words
from projections.runs.changes import Change, Changes
from projections.runs.registry.numbers import Registry
from projections.runs.registry.runs import RunStage
from projections.runs.summary import Run
from projections.storage.columns import ABSENT, insert_into
from projections.views.store import Store

_COLUMNS = (
    "task_no, tenant_no, status, run_no, last_started_ns, first_started_ns, updated_ns, runs,"
    " attempts, retries, recovered_runs, backfilled_runs, executor_no, source_no, name"
)


_INSERT = insert_into("task", "nnnnnnnnnnnniit")

Row = tuple[Any, ...]
_Source = tuple[int | None, int | None]


_task_no_of = itemgetter(0)


class _Task(NamedTuple):
    """A row of table `task`."""

    task_no: int
    tenant_no: int
    status: int
    run_no: int
    last_started_ns: int
    first_started_ns: int
    updated_ns: int
    runs: int
    attempts: int
    retries: int
    recovered_runs: int
    backfilled_runs: int
    executor_no: int | None
    source_no: int | None
    name: str | None


class _Latest(NamedTuple):
    """A candidate for the latest run, in order."""

    last_started_ns: int
    hash: int
    run_no: int


class TaskStore(Store):
    """Writes tasks."""

    name = "tasks"
    version = 2
    tables = ("task",)
    stands_alone = False  # it asks the stage for runs

    def __init__(self, stage: RunStage, registry: Registry) -> None:
        self._stage = stage
        self._registry = registry

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        stored = _load(connection, [c[0].task_no for c in changes.by_task if not c[0].new_task])
        rows, removed = [], []
        for parts in changes.by_task:
            task_no = parts[0].task_no
            row = self._changed_row(connection, stored.get(task_no), parts)
            if task_no in stored and row != stored[task_no]:
                removed.append((task_no,))
            if row is not None and row != stored.get(task_no):
                rows.append(row)
        connection.executemany("DELETE FROM task WHERE task_no = ?", removed)
        connection.executemany(_INSERT, map(_bound, sorted(rows, key=_task_no_of)))
        connection.executemany(_INSERT, [self._first_row(c, run) for c, run in changes.first])

    def _first_row(self, change: Change, run: Run) -> Row:
        """The row of a task with one run, as it is bound."""
        attempts = run.attempts
        executor_no, source_no = self._source(run)
        return (
            change.task_no,
            change.tenant_no,
            _status(run),
            change.run_no,
            run.last_started_ns,
            _start(run),
            _updated(run),
            1,
            attempts,
            attempts - 1 if attempts else 0,
            1 if run.recovered else 0,
            1 if run.backfilled else 0,
            ABSENT if executor_no is None else executor_no,
            ABSENT if source_no is None else source_no,
            run.name or "",
        )

    def _changed_row(
        self, connection: sqlite3.Connection, row: _Task | None, parts: Sequence[Change]
    ) -> _Task | None:
        counters = list(row[7:12]) if row is not None else [0] * 5
        for change in parts:
            for sign, run in ((-1, change.old), (1, change.new)):
                if run is not None:
                    _count(counters, run, sign)
        if counters[0] == 0:
            return None
        latest, run = self._latest(connection, row, parts)
        first = _first_started(connection, row, parts)
        if run is None:  # the latest run is the stored one, and did not change
            assert row is not None
            values = (*row[:5], first, row.updated_ns, *counters, *row[12:])
            return _Task._make(values)
        change = parts[0]
        return _Task._make(
            (
                change.task_no,
                change.tenant_no,
                _status(run),
                latest.run_no,
                run.last_started_ns,
                first,
                _updated(run),
                *counters,
                *self._source(run),
                run.name,
            )
        )

    def _source(self, run: Run) -> _Source:
        """Executor and source of the newest attempt."""
        if run.source_no is None:
            return None, None
        return self._registry.source_parts(run.source_no)[0], run.source_no

    def _latest(
        self, connection: sqlite3.Connection, row: _Task | None, parts: Sequence[Change]
    ) -> tuple[_Latest, Run | None]:
        """The latest run; and what it is now, unless it is the stored one and did not change."""
        runs = {change.run_no: change.new for change in parts}
        candidates = [
            _Latest(c.new.last_started_ns, c.hash, c.run_no) for c in parts if c.new is not None
        ]
        if row is not None:
            moved = runs.get(row.run_no, row)
            if moved is None or moved.last_started_ns < row.last_started_ns:
                latest = _search_latest(connection, row.task_no)
                run = runs.get(latest.run_no) or self._stage.load_run(connection, latest.run_no)
                return latest, run
            if row.run_no not in runs:
                candidates.append(_stored_latest(connection, row, max(candidates, default=None)))
        latest = max(candidates)
        return latest, runs.get(latest.run_no)


def _load(connection: sqlite3.Connection, task_nos: Iterable[int]) -> dict[int, _Task]:
    select = f"SELECT {_COLUMNS} FROM task WHERE task_no = ?"
    rows = (connection.execute(select, (number,)).fetchone() for number in sorted(task_nos))
    return {row[0]: _Task(*row) for row in rows if row is not None}


def _stored_latest(connection: sqlite3.Connection, row: _Task, rival: _Latest | None) -> _Latest:
    hash_ = 0
    if rival is not None and rival.last_started_ns == row.last_started_ns:
        (hash_,) = connection.execute(
            "SELECT hash FROM run_key WHERE run_no = ?", (row.run_no,)
        ).fetchone()
    return _Latest(row.last_started_ns, hash_, row.run_no)


def _search_latest(connection: sqlite3.Connection, task_no: int) -> _Latest:
    found = connection.execute(
        "SELECT last_started_ns, hash, run_no FROM run_key"
        " WHERE task_no = ? AND last_started_ns IS NOT NULL"
        " ORDER BY last_started_ns DESC, hash DESC LIMIT 1",
        (task_no,),
    ).fetchone()
    return _Latest(*found)


def _first_started(
    connection: sqlite3.Connection, row: _Task | None, parts: Sequence[Change]
) -> int:
    starts = [_start(change.new) for change in parts if change.new is not None]
    if row is None:
        return min(starts)
    for change in parts:
        if (
            change.old is not None
            and _start(change.old) == row.first_started_ns
            and (change.new is None or _start(change.new) > row.first_started_ns)
        ):
            (first,) = connection.execute(
                "SELECT min(first_started_ns) FROM run_key WHERE task_no = ?",
                (row.task_no,),
            ).fetchone()
            return int(first)
    return min(row.first_started_ns, *starts)


def _bound(row: _Task) -> Row:
    executor_no, source_no, name = row[-3:]
    return (
        *row[:-3],
        ABSENT if executor_no is None else executor_no,
        ABSENT if source_no is None else source_no,
        name or "",
    )


def _count(counters: list[int], run: Run, sign: int) -> None:
    attempts = run.attempts
    counters[0] += sign
    counters[1] += sign * attempts
    counters[2] += sign * max(attempts - 1, 0)
    counters[3] += sign * run.recovered
    counters[4] += sign * run.backfilled


def _status(run: Run) -> int:
    return words.PENDING if run.status == words.QUEUED else run.status


def _start(run: Run) -> int:
    return run.last_started_ns if run.first_started_ns is None else run.first_started_ns


def _updated(run: Run) -> int:
    return max(run.last_started_ns, run.last_ended_ns or 0)

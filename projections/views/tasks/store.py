"""Table `task`: counters by new minus old, and the state of the latest run.

The latest run is the one whose newest attempt started last; of two, the one with the larger
digest. If it moves back in time or goes, the runs of the task are searched again.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict

from projections.runs import words
from projections.runs.changes import Change, Changes
from projections.runs.registry.runs import RunStage
from projections.runs.scopes import Sources
from projections.runs.summary import Run
from projections.storage.columns import Bound, Columns
from projections.views.store import Store


class TaskRow(NamedTuple):
    """A row of table `task`."""

    task_no: int
    tenant_no: int
    status: int
    run_no: int
    last_started_ns: int
    lead_ns: int
    updated_ns: int
    runs: int
    attempts: int
    retries: int
    recovered_runs: int
    backfilled_runs: int
    executor_no: int | None
    source_no: int | None
    name: str | None

    @property
    def first_started_ns(self) -> int:
        return self.last_started_ns - self.lead_ns


COLUMNS = Columns("task", TaskRow)
_task_no_of = attrgetter("task_no")
_rebound = COLUMNS.binder(TaskRow)
_bound = COLUMNS.binder(Run, own=("status", "source_no"))


class _Counts(msgspec.Struct):
    """The counters of a task, over all its runs."""

    runs: int = 0
    attempts: int = 0
    retries: int = 0
    recovered_runs: int = 0
    backfilled_runs: int = 0

    @classmethod
    def of(cls, row: TaskRow) -> "_Counts":
        """Those of a stored row."""
        return cls(*_counts_of(row))

    def add(self, run: Run, sign: int) -> None:
        """Count a run once more, or once less."""
        attempts = run.attempts
        self.runs += sign
        self.attempts += sign * attempts
        self.retries += sign * max(attempts - 1, 0)
        self.recovered_runs += sign * run.recovered
        self.backfilled_runs += sign * run.backfilled


_counts_of = attrgetter(*_Counts.__struct_fields__)


class _Latest(NamedTuple):
    """A candidate for the latest run, in order."""

    last_started_ns: int
    hash: int
    run_no: int


class TaskStore(Store):
    """Writes tasks."""

    name = "tasks"
    version = 3
    tables = ("task",)
    stands_alone = False  # it asks the stage for runs

    def __init__(self, stage: RunStage, sources: Sources) -> None:
        self._stage = stage
        self._sources = sources

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
        rows.sort(key=_task_no_of)
        connection.executemany(COLUMNS.insert, map(_rebound, rows))
        connection.executemany(
            COLUMNS.insert, [self._first_row(change, run) for change, run in changes.first]
        )

    def _first_row(self, change: Change, run: Run) -> Bound:
        """The row of a task with one run, as it is bound.

        A short way to what `_changed_row` gives, to which tests/contract/test_first_rows.py
        holds it.
        """
        attempts = run.attempts
        return _bound(
            run,
            task_no=change.task_no,
            tenant_no=change.tenant_no,
            status=_status(run),
            run_no=change.run_no,
            lead_ns=run.last_started_ns - _start(run),
            updated_ns=_updated(run),
            runs=1,
            retries=attempts - 1 if attempts else 0,
            recovered_runs=1 if run.recovered else 0,
            backfilled_runs=1 if run.backfilled else 0,
            executor_no=self._executor_no(run),
            source_no=run.source_no,
        )

    def _changed_row(
        self, connection: sqlite3.Connection, row: TaskRow | None, parts: Sequence[Change]
    ) -> TaskRow | None:
        counts = _Counts() if row is None else _Counts.of(row)
        for change in parts:
            for sign, run in ((-1, change.old), (1, change.new)):
                if run is not None:
                    counts.add(run, sign)
        if counts.runs == 0:
            return None
        latest, run = self._latest(connection, row, parts)
        first = _first_started(connection, row, parts)
        if run is None:  # the latest run is the stored one, and did not change
            assert row is not None
            return row._replace(lead_ns=row.last_started_ns - first, **asdict(counts))
        return TaskRow(
            task_no=parts[0].task_no,
            tenant_no=parts[0].tenant_no,
            status=_status(run),
            run_no=latest.run_no,
            last_started_ns=run.last_started_ns,
            lead_ns=run.last_started_ns - first,
            updated_ns=_updated(run),
            **asdict(counts),
            executor_no=self._executor_no(run),
            source_no=run.source_no,
            name=run.name,
        )

    def _executor_no(self, run: Run) -> int | None:
        """Where the newest attempt ran."""
        return None if run.source_no is None else self._sources.source_parts(run.source_no)[0]

    def _latest(
        self, connection: sqlite3.Connection, row: TaskRow | None, parts: Sequence[Change]
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


def _load(connection: sqlite3.Connection, task_nos: Iterable[int]) -> dict[int, TaskRow]:
    select = f"SELECT {COLUMNS.names} FROM task WHERE task_no = ?"
    found = (connection.execute(select, (number,)).fetchone() for number in sorted(task_nos))
    rows = (TaskRow._make(row) for row in found if row is not None)
    return {row.task_no: row for row in rows}


def _stored_latest(connection: sqlite3.Connection, row: TaskRow, rival: _Latest | None) -> _Latest:
    hash_ = 0
    if rival is not None and rival.last_started_ns == row.last_started_ns:
        (hash_,) = connection.execute(
            "SELECT hash FROM run_key WHERE run_no = ?", (row.run_no,)
        ).fetchone()
    return _Latest(row.last_started_ns, hash_, row.run_no)


def _search_latest(connection: sqlite3.Connection, task_no: int) -> _Latest:
    first = connection.execute(
        "SELECT last_started_ns, hash, run_no FROM task_key JOIN run_key ON run_no = first_run_no"
        " WHERE task_key.task_no = ? AND last_started_ns IS NOT NULL",
        (task_no,),
    ).fetchone()
    other = connection.execute(
        "SELECT last_started_ns, hash, run_no FROM run_key"
        " WHERE task_no = ? AND is_first = 0 AND last_started_ns IS NOT NULL"
        " ORDER BY last_started_ns DESC, hash DESC LIMIT 1",
        (task_no,),
    ).fetchone()
    return max(_Latest(*found) for found in (first, other) if found is not None)


def _first_started(
    connection: sqlite3.Connection, row: TaskRow | None, parts: Sequence[Change]
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
                "SELECT min(last_started_ns - lead_ns) FROM ("
                " SELECT last_started_ns, lead_ns FROM task_key"
                " JOIN run_key ON run_no = first_run_no WHERE task_key.task_no = ?1"
                " UNION ALL SELECT last_started_ns, lead_ns FROM run_key"
                " WHERE task_no = ?1 AND is_first = 0)",
                (row.task_no,),
            ).fetchone()
            return int(first)
    return min([row.first_started_ns, *starts])


def _status(run: Run) -> int:
    return words.PENDING if run.status == words.QUEUED else run.status


def _start(run: Run) -> int:
    return run.last_started_ns if run.first_started_ns is None else run.first_started_ns


def _updated(run: Run) -> int:
    return max(run.last_started_ns, run.last_ended_ns or 0)

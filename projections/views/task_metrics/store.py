"""Tables `metric` and `metric_one`: cells by new minus old.

A task whose attempts all ran on one executor, or all in one hour, has no rows of its own for
that executor or hour: the row of the whole task names it (see schema.sql). The first other
executor or hour makes them; they stay, and show the same. The row of a task with one ended attempt
is a small one, in a table of its own.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from projections.runs.changes import Change, Changes
from projections.runs.scopes import ALL, DAY, EXECUTOR, HOUR, HOUR_NS, Scope, Sources
from projections.runs.summary import Run
from projections.runs.times import wrapped
from projections.storage import buckets
from projections.storage.buckets import bucket_of
from projections.storage.columns import Bound, Columns
from projections.views.store import Store
from projections.views.task_metrics.cells import (
    COUNTERS,
    Cell,
    add_change,
    cell_of,
    cells_of_one,
    hours_of,
)

_WHOLE: Scope = (ALL, 0)
_DURATION_COUNT = COUNTERS.index("duration_count")
_FLAGS = COUNTERS[: _DURATION_COUNT + 1]
"""The counters that have a bit each in `told`."""
_WAITED = 1 << COUNTERS.index("wait_count")


class MetricRow(NamedTuple):
    """A row of table `metric`; the first three columns are its key."""

    task_no: int
    scope: int
    key: int
    only_executor_no: int | None
    only_hour: int | None
    executions: int
    completed: int
    failed: int
    timed_out: int
    abandoned: int
    cancelled: int
    skipped: int
    retries: int
    runs: int
    completed_runs: int
    failed_runs: int
    recovered_runs: int
    anomalies: int
    wait_count: int
    duration_count: int
    wait_sum_ns: int
    duration_sum_ns: int
    waits: bytes
    buckets: bytes


class OneRow(NamedTuple):
    """A row of table `metric_one`."""

    task_no: int
    executor_no: int
    hour: int
    told: int
    duration_ns: int


COLUMNS = Columns("metric", MetricRow, "INSERT OR REPLACE")
ONE_COLUMNS = Columns("metric_one", OneRow, "INSERT OR REPLACE")
_bound = COLUMNS.binder(COUNTERS)
_key_of = COLUMNS.picker("task_no", "scope", "key")
_counters_of = COLUMNS.picker(*COUNTERS)
_rest_of = COLUMNS.picker("only_executor_no", "only_hour", "buckets", "waits")
_SELECT = f"SELECT {COLUMNS.names} FROM metric WHERE task_no = ? AND scope = ? AND key = ?"
_SELECT_ONE = f"SELECT {ONE_COLUMNS.names} FROM metric_one WHERE task_no = ?"
_DELETE = "DELETE FROM metric WHERE task_no = ? AND scope = ? AND key = ?"


class _Stored(NamedTuple):
    """What is read of a row."""

    only_executor_no: int | None
    only_hour: int | None
    cell: Cell
    is_one: bool = False


class _Written:
    """Rows to be written, and keys of rows to be removed."""

    def __init__(self) -> None:
        self.rows: list[Bound] = []
        self.ones: list[OneRow] = []
        self.removed: list[tuple[int, int, int]] = []
        self.removed_ones: list[tuple[int]] = []

    def write(self, connection: sqlite3.Connection) -> None:
        """Write them all, in order of their keys."""
        connection.executemany(_DELETE, self.removed)
        connection.executemany("DELETE FROM metric_one WHERE task_no = ?", self.removed_ones)
        self.rows.sort(key=_key_of)
        connection.executemany(COLUMNS.insert, self.rows)
        connection.executemany(ONE_COLUMNS.insert, sorted(self.ones))

    def whole(
        self, task_no: int, cell: Cell, only: tuple[int | None, int | None], held: "_Stored | None"
    ) -> None:
        """The row of a whole task, all on one executor or in one hour if there is `only` one."""
        one = _one_of(task_no, cell, *only)
        if one is not None:
            self.ones.append(one)
        elif cell:
            self.rows.append(_row(task_no, _WHOLE, cell, *only))
        if held is not None and held.is_one and one is None:
            self.removed_ones.append((task_no,))
        if held is not None and not held.is_one and (one is not None or not cell):
            self.removed.append((task_no, *_WHOLE))

    def part(self, task_no: int, scope: Scope, cell: Cell) -> None:
        """The row of one executor, hour or day."""
        if cell:
            self.rows.append(_row(task_no, scope, cell, None, None))
        else:
            self.removed.append((task_no, *scope))


class MetricStore(Store):
    """Writes task metrics."""

    name = "task_metrics"
    version = 5
    tables = ("metric", "metric_one")
    split = ("metric_one",)

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._told: dict[tuple[int, int, int, bool], int] = {}

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        written = _Written()
        for parts in changes.by_task:
            task_no = parts[0].task_no
            stored = None if parts[0].new_task else _load_whole(connection, task_no)
            cells = self._cells(parts, None if stored is None else stored.only_hour)
            if cells:
                _merge(connection, task_no, stored, cells, written)
        for change, run in changes.first:
            self._first_row(connection, change, run, written)
        written.write(connection)

    def _cells(self, parts: Sequence[Change], only_hour: int | None) -> dict[Scope, Cell]:
        """What the changes of a task add to each of its scopes.

        Not to `only_hour` and its day, as long as the task meets no other hour: the row of the
        whole task stands for them.
        """
        if len(parts) == 1 and parts[0].old is None:
            run = parts[0].new
            if run is not None and len(parts[0].came) == 1:
                return cells_of_one(run, parts[0].came[0], self._sources)
        cells: dict[Scope, Cell] = {}
        same = only_hour is not None and all(hour == only_hour for hour in hours_of(parts))
        kinds = (ALL, EXECUTOR) if same else (ALL, EXECUTOR, HOUR, DAY)
        for change in parts:
            add_change(cells, change, self._sources, kinds)
        return {scope: cell for scope, cell in cells.items() if cell}

    def _first_row(
        self, connection: sqlite3.Connection, change: Change, run: Run, written: _Written
    ) -> None:
        """The row of a task that had no run.

        Of a run of one attempt that was not queued, a short way to what `_cells` and `_merge`
        give, to which tests/contract/test_first_rows.py holds it: there are few kinds of what is
        told of it, and these are kept.
        """
        if len(change.came) != 1 or change.came[0].queued_ns is not None:
            cells = self._cells([change], None)
            if cells:
                _merge(connection, change.task_no, None, cells, written)
            return
        (attempt,) = change.came
        if attempt.ended_ns is None:
            return
        duration_ns = attempt.ended_ns - attempt.started_ns
        kind = (attempt.status, run.status, attempt.flags, duration_ns < 0)
        told = self._told.get(kind)
        if told is None:
            told = self._told[kind] = _told_of(cell_of(run, attempt).counters)
        executor_no = self._sources.source_parts(attempt.source_no)[0]
        written.ones.append(
            OneRow(
                change.task_no, executor_no or 0, attempt.started_ns // HOUR_NS, told,
                wrapped(duration_ns) if told >> _DURATION_COUNT else 0,
            )
        )  # fmt: skip


def _told_of(counters: Sequence[int]) -> int:
    """The bits of counters that are 0 or 1 each."""
    return sum(count << bit for bit, count in enumerate(counters[: len(_FLAGS)]))


def _one_of(
    task_no: int, cell: Cell, only_executor: int | None, only_hour: int | None
) -> OneRow | None:
    """The small row of a task with one ended attempt that did not wait; None of any other."""
    counters = cell.counters
    if counters[0] != 1 or only_executor is None or only_hour is None:
        return None
    if any(count not in (0, 1) for count in counters[: len(_FLAGS)]) or any(cell.waits.values()):
        return None
    told = _told_of(counters)
    if told & _WAITED:
        return None
    return OneRow(task_no, only_executor, only_hour, told, wrapped(counters[-1]))


def _cell_of_one(row: OneRow) -> Cell:
    """What a small row stands for."""
    counters = [row.told >> bit & 1 for bit in range(len(_FLAGS))]
    timed = row.told >> _DURATION_COUNT & 1
    counted = {bucket_of(row.duration_ns): 1} if timed else {}
    return Cell([*counters, 0, row.duration_ns], counted)


def _merge(
    connection: sqlite3.Connection,
    task_no: int,
    stored: _Stored | None,
    cells: dict[Scope, Cell],
    written: _Written,
) -> None:
    """What becomes of a task's rows."""
    delta = cells.pop(_WHOLE, Cell())
    executors = [key for scope, key in cells if scope == EXECUTOR]
    hours = [key for scope, key in cells if scope == HOUR]
    if stored is None:
        only_executor = executors[0] if len(executors) == 1 else None
        only_hour = hours[0] if len(hours) == 1 else None
        base = Cell()
    else:
        base = stored.cell
        only_executor, only_hour = stored.only_executor_no, stored.only_hour
        if only_executor is not None and any(key != only_executor for key in executors):
            _spell_out(cells, (EXECUTOR, only_executor), base)
            only_executor = None
        if only_hour is not None and any(key != only_hour for key in hours):
            _spell_out(cells, (HOUR, only_hour), base)
            _spell_out(cells, (DAY, only_hour // 24), base)
            only_hour = None
    written.whole(task_no, base.plus(delta), (only_executor, only_hour), stored)
    implied = {EXECUTOR: only_executor is not None, HOUR: only_hour is not None}
    implied[DAY] = implied[HOUR]
    for scope in sorted(cells):
        if implied[scope[0]]:
            continue
        before = _load(connection, task_no, scope) if stored is not None else None
        cell = cells[scope] if before is None else cells[scope].plus(before.cell)
        written.part(task_no, scope, cell)


def _spell_out(cells: dict[Scope, Cell], scope: Scope, base: Cell) -> None:
    """Make the cell that the whole task's row stood for."""
    cells[scope] = cells.get(scope, Cell()).plus(base)


def _load_whole(connection: sqlite3.Connection, task_no: int) -> _Stored | None:
    found = connection.execute(_SELECT_ONE, (task_no,)).fetchone()
    if found is None:
        return _load(connection, task_no, _WHOLE)
    row = OneRow._make(found)
    return _Stored(row.executor_no, row.hour, _cell_of_one(row), is_one=True)


def _load(connection: sqlite3.Connection, task_no: int, scope: Scope) -> _Stored | None:
    found = connection.execute(_SELECT, (task_no, *scope)).fetchone()
    if found is None:
        return None
    only_executor_no, only_hour, durations, waits = _rest_of(found)
    cell = Cell(list(_counters_of(found)), buckets.decode(durations), buckets.decode(waits))
    return _Stored(only_executor_no, only_hour, cell)


def _row(
    task_no: int, scope: Scope, cell: Cell, only_executor: int | None, only_hour: int | None
) -> Bound:
    *counters, wait_ns, duration_ns = cell.counters
    kind, key = scope
    return _bound(
        (*counters, wrapped(wait_ns), wrapped(duration_ns)),
        task_no=task_no,
        scope=kind,
        key=key,
        only_executor_no=only_executor,
        only_hour=only_hour,
        waits=buckets.encode(cell.waits) if cell.waits else b"",
        buckets=buckets.encode(cell.buckets),
    )

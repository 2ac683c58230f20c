"""Table `metric`: cells by new minus old.

A task whose attempts all ran on one executor, or all in one hour, has no rows of its own for
that executor or hour: the row of the whole task names it (see schema.sql). The first other
executor or hour makes them; they stay, and show the same.
"""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
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


COLUMNS = Columns("metric", MetricRow, "INSERT OR REPLACE")
_bound = COLUMNS.binder(COUNTERS)
_key_of = COLUMNS.picker("task_no", "scope", "key")
_counters_of = COLUMNS.picker(*COUNTERS)
_rest_of = COLUMNS.picker("only_executor_no", "only_hour", "buckets", "waits")
_SELECT = f"SELECT {COLUMNS.names} FROM metric WHERE task_no = ? AND scope = ? AND key = ?"


class _Stored(NamedTuple):
    """What is read of a row."""

    only_executor_no: int | None
    only_hour: int | None
    cell: Cell


class MetricStore(Store):
    """Writes task metrics."""

    name = "task_metrics"
    version = 4
    tables = ("metric",)

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._first_counters: dict[tuple[int, int, int, bool], tuple[int, ...]] = {}

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        rows: list[Bound] = []
        removed: list[tuple[int, int, int]] = []
        for parts in changes.by_task:
            task_no = parts[0].task_no
            stored = None if parts[0].new_task else _load(connection, task_no, _WHOLE)
            cells = self._cells(parts, None if stored is None else stored.only_hour)
            if cells:
                _merge(connection, task_no, stored, cells, rows, removed)
        for change, run in changes.first:
            rows += self._first_rows(connection, change, run)
        rows.sort(key=_key_of)
        connection.executemany(
            "DELETE FROM metric WHERE task_no = ? AND scope = ? AND key = ?", removed
        )
        connection.executemany(COLUMNS.insert, rows)

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

    def _first_rows(
        self, connection: sqlite3.Connection, change: Change, run: Run
    ) -> Sequence[Bound]:
        """The rows of a task that had no run.

        Of a run of one attempt that was not queued, a short way to what `_cells` and `_merge`
        give, to which tests/contract/test_first_rows.py holds it: its counters are few, and are
        kept.
        """
        if len(change.came) != 1 or change.came[0].queued_ns is not None:
            rows: list[Bound] = []
            cells = self._cells([change], None)
            if cells:
                _merge(connection, change.task_no, None, cells, rows, [])
            return rows
        (attempt,) = change.came
        if attempt.ended_ns is None:
            return ()
        duration_ns = attempt.ended_ns - attempt.started_ns
        kind = (attempt.status, run.status, attempt.flags, duration_ns < 0)
        counters = self._first_counters.get(kind)
        if counters is None:
            counters = self._first_counters[kind] = tuple(cell_of(run, attempt).counters[:-1])
        executor_no = self._sources.source_parts(attempt.source_no)[0]
        timed = counters[_DURATION_COUNT]
        row = _bound(
            (*counters, wrapped(duration_ns) if timed else 0),
            task_no=change.task_no,
            scope=ALL,
            key=0,
            only_executor_no=executor_no or 0,
            only_hour=attempt.started_ns // HOUR_NS,
            waits=b"",
            buckets=_one_in(bucket_of(duration_ns)) if timed else b"",
        )
        return (row,)


@lru_cache(maxsize=2_048)
def _one_in(bucket: int) -> bytes:
    return buckets.encode({bucket: 1})


def _merge(
    connection: sqlite3.Connection,
    task_no: int,
    stored: _Stored | None,
    cells: dict[Scope, Cell],
    rows: list[Bound],
    removed: list[tuple[int, int, int]],
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
    whole = base.plus(delta)
    if whole:
        rows.append(_row(task_no, _WHOLE, whole, only_executor, only_hour))
    else:
        removed.append((task_no, *_WHOLE))
    implied = {EXECUTOR: only_executor is not None, HOUR: only_hour is not None}
    implied[DAY] = implied[HOUR]
    for scope in sorted(cells):
        if implied[scope[0]]:
            continue
        before = _load(connection, task_no, scope) if stored is not None else None
        cell = cells[scope] if before is None else cells[scope].plus(before.cell)
        if cell:
            rows.append(_row(task_no, scope, cell, None, None))
        else:
            removed.append((task_no, *scope))


def _spell_out(cells: dict[Scope, Cell], scope: Scope, base: Cell) -> None:
    """Make the cell that the whole task's row stood for."""
    cells[scope] = cells.get(scope, Cell()).plus(base)


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

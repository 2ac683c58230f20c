"""Table `metric`: cells by new minus old.

A task whose attempts all ran on one executor, or all in one hour, has no rows of its own for
that executor or hour: the row of the whole task names it (see schema.sql). The first other
executor or hour makes them; they stay, and show the same.
"""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from projections import buckets
from projections.columns import ABSENT, insert_into
from projections.derive import Run
from projections.registry.numbers import Registry
from projections.registry.runs import Change
from projections.store import Store
from projections.task_metrics.cells import (
    ALL,
    COUNTERS,
    DAY,
    EXECUTOR,
    HOUR,
    Cell,
    Scope,
    add_run,
    scopes_of,
)
from projections.times import wrapped

_WHOLE: Scope = (ALL, 0)
_SELECT = (
    f"SELECT only_executor_no, only_hour, {', '.join(COUNTERS)}, buckets FROM metric"
    " WHERE task_no = ? AND scope = ? AND key = ?"
)
_WRITE = insert_into("metric", "nnnii" + "n" * len(COUNTERS) + "n").replace(
    "INSERT", "INSERT OR REPLACE", 1
)

_task_no_of = attrgetter("task_no")

Row = tuple[Any, ...]


class _Stored(NamedTuple):
    """A row of table `metric`."""

    only_executor_no: int | None
    only_hour: int | None
    cell: Cell


class MetricStore(Store):
    """Writes task metrics."""

    name = "task_metrics"
    tables = ("metric",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def update(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
        """See `Store.update`."""
        changed = sorted(changes, key=_task_no_of)
        rows: list[Row] = []
        removed: list[tuple[int, int, int]] = []
        for task_no, group in groupby(changed, key=_task_no_of):
            parts = list(group)
            first = parts[0].new if parts[0].new_task and len(parts) == 1 else None
            if first is not None and len(first.attempts) == 1:
                rows += self._first_row(task_no, first)
                continue
            cells: dict[Scope, Cell] = {}
            for change in parts:
                for sign, run in ((-1, change.old), (1, change.new)):
                    if run is not None:
                        add_run(cells, run, sign, self._registry)
            cells = {scope: cell for scope, cell in cells.items() if cell}
            if cells:
                stored = None if parts[0].new_task else _load(connection, task_no, _WHOLE)
                _merge(connection, task_no, stored, cells, rows, removed)
        connection.executemany(
            "DELETE FROM metric WHERE task_no = ? AND scope = ? AND key = ?", removed
        )
        connection.executemany(_WRITE, rows)

    def _first_row(self, task_no: int, run: Run) -> list[Row]:
        """The rows of a task that had one attempt: the commonest case, without detours."""
        (attempt,) = run.attempts
        if attempt.ended_ns is None:
            return []
        cell = Cell()
        cell.add_attempt(attempt, attempt.number, 1)
        cell.add_run(run, 1)
        _, (_, executor_no), (_, hour), _ = scopes_of(attempt, self._registry)
        return [_row(task_no, _WHOLE, cell, executor_no, hour)]


def _merge(
    connection: sqlite3.Connection,
    task_no: int,
    stored: _Stored | None,
    cells: dict[Scope, Cell],
    rows: list[Row],
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
    row = connection.execute(_SELECT, (task_no, *scope)).fetchone()
    if row is None:
        return None
    return _Stored(row[0], row[1], Cell(list(row[2:-1]), buckets.decode(row[-1])))


def _row(
    task_no: int, scope: Scope, cell: Cell, only_executor: int | None, only_hour: int | None
) -> Row:
    counters = cell.counters
    counters[-1] = wrapped(counters[-1])
    return (
        task_no,
        *scope,
        ABSENT if only_executor is None else only_executor,
        ABSENT if only_hour is None else only_hour,
        *counters,
        bytearray(buckets.encode(cell.buckets)),
    )

"""Table `transition`: when an attempt was queued, began to run, and ended."""

import sqlite3
from collections.abc import Sequence

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.changes import Change, Changes
from projections.runs.summary import Run
from projections.runs.words import NUMBER_BITS
from projections.views.store import Store

QUEUED_STEP, RUNNING_STEP, ENDED_STEP = 0, 1, 2

Row = tuple[int, int, int, int, int, int]


class HistoryStore(Store):
    """Writes state transitions."""

    name = "execution_history"
    version = 2
    tables = ("transition",)

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        added: list[Row] = []
        removed: list[Row] = []
        for change in changes:
            came = _rows(change, change.new, change.came)
            if change.old is None:
                added += came
                continue
            gone = _rows(change, change.old, change.gone)
            added += set(came).difference(gone)
            removed += set(gone).difference(came)
        connection.executemany(
            "DELETE FROM transition WHERE task_no = ? AND at_ns = ? AND attempt_key = ?"
            " AND step = ?",
            [row[:4] for row in sorted(removed)],
        )
        added.sort()
        connection.executemany("INSERT INTO transition VALUES (?, ?, ?, ?, ?, ?)", added)


def _rows(change: Change, run: Run | None, attempts: Sequence[Attempt]) -> list[Row]:
    """The transitions of some attempts of a run; of a run that has none, when it was queued."""
    tenant_no, task_no = change.tenant_no, change.task_no
    first_key = change.run_no << NUMBER_BITS
    rows: list[Row] = []
    if run is not None and not run.attempts and run.queued_ns is not None:
        rows.append((task_no, run.queued_ns, first_key, QUEUED_STEP, tenant_no, words.QUEUED))
    for attempt in attempts:
        key = first_key | attempt.number
        if attempt.queued_ns is not None:
            rows.append((task_no, attempt.queued_ns, key, QUEUED_STEP, tenant_no, words.QUEUED))
        rows.append((task_no, attempt.started_ns, key, RUNNING_STEP, tenant_no, words.RUNNING))
        if attempt.ended_ns is not None:
            rows.append((task_no, attempt.ended_ns, key, ENDED_STEP, tenant_no, attempt.status))
    return rows

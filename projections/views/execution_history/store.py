"""Table `transition`: when an attempt was queued, began to run, and ended."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.changes import Change, Changes
from projections.runs.summary import Run
from projections.runs.words import NUMBER_BITS
from projections.storage.columns import Bound, Columns
from projections.views.store import Store

QUEUED_STEP, RUNNING_STEP, ENDED_STEP = 0, 1, 2


class Transition(NamedTuple):
    """A row of table `transition`; the first four columns are its key."""

    task_no: int
    at_ns: int
    attempt_key: int
    step: int
    tenant_no: int
    status: int


COLUMNS = Columns("transition", Transition)
_row = COLUMNS.binder(Change)
_key_of = COLUMNS.picker("task_no", "at_ns", "attempt_key", "step")


class HistoryStore(Store):
    """Writes state transitions."""

    name = "execution_history"
    version = 2
    tables = ("transition",)

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        added: list[Bound] = []
        removed: list[Bound] = []
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
            [_key_of(row) for row in sorted(removed)],
        )
        added.sort()
        connection.executemany(COLUMNS.insert, added)


def _rows(change: Change, run: Run | None, attempts: Sequence[Attempt]) -> list[Bound]:
    """The transitions of some attempts of a run; of a run that has none, when it was queued."""
    first_key = change.run_no << NUMBER_BITS
    rows: list[Bound] = []
    if run is not None and not run.attempts and run.queued_ns is not None:
        rows.append(
            _row(
                change,
                at_ns=run.queued_ns,
                attempt_key=first_key,
                step=QUEUED_STEP,
                status=words.QUEUED,
            )
        )
    for attempt in attempts:
        key = first_key | attempt.number
        if attempt.queued_ns is not None:
            rows.append(
                _row(
                    change,
                    at_ns=attempt.queued_ns,
                    attempt_key=key,
                    step=QUEUED_STEP,
                    status=words.QUEUED,
                )
            )
        rows.append(
            _row(
                change,
                at_ns=attempt.started_ns,
                attempt_key=key,
                step=RUNNING_STEP,
                status=words.RUNNING,
            )
        )
        if attempt.ended_ns is not None:
            rows.append(
                _row(
                    change,
                    at_ns=attempt.ended_ns,
                    attempt_key=key,
                    step=ENDED_STEP,
                    status=attempt.status,
                )
            )
    return rows

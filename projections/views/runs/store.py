"""Table `run`: one row a run."""

import sqlite3
from typing import NamedTuple

import msgspec

from projections.runs.changes import Change, Changes
from projections.runs.summary import Run
from projections.storage.columns import Bound, Columns
from projections.views.store import Store

_encode = msgspec.json.Encoder().encode


class RunRow(NamedTuple):
    """A row of table `run`: what `Run` has of the same name, and where it belongs.

    Three times of a run follow from the others, and its trace, if it is one, from its attempts;
    the views `run_summary` and `run_traces` have them.
    """

    run_no: int
    tenant_no: int
    task_no: int
    is_first: bool
    status: int
    attempts: int
    left_out: int
    recovered: bool
    backfilled: bool
    last_started_ns: int
    lead_ns: int | None
    queued_ns: int | None
    wall_clock_ns: int | None
    idle_ns: int | None
    overlap_ns: int
    progress: float | None
    source_no: int | None
    error_no: int | None
    message_no: int | None
    group_id: str | None
    trace_ids: bytes
    parents: str | None
    causes: str | None


COLUMNS = Columns("run", RunRow)
_bound = COLUMNS.binder(Run, own=("trace_ids", "parents", "causes"))


class RunStore(Store):
    """Writes runs."""

    name = "runs"
    version = 7
    tables = ("run",)

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        removed = [(change.run_no,) for change in changes if change.old is not None]
        connection.executemany("DELETE FROM run WHERE run_no = ?", removed)
        connection.executemany(
            COLUMNS.insert,
            [_row(change, change.new) for change in changes if change.new is not None],
        )


def _row(change: Change, run: Run) -> Bound:
    first_ns = run.first_started_ns
    return _bound(
        run,
        run_no=change.run_no,
        tenant_no=change.tenant_no,
        task_no=change.task_no,
        is_first=change.is_first,
        lead_ns=None if first_ns is None else run.last_started_ns - first_ns,
        trace_ids=b"".join(run.trace_ids) if len(run.trace_ids) > 1 else b"",
        parents=_encode(run.parents).decode() if run.parents else None,
        causes=_encode(run.causes).decode() if run.causes else None,
    )

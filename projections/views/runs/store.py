"""Table `run`: one row a run."""

import sqlite3
from typing import Any

import msgspec

from projections.runs.changes import Change, Changes
from projections.runs.summary import Run
from projections.storage.columns import ABSENT, insert_into
from projections.views.store import Store

_INSERT = insert_into("run", "nnnnnnnnniiiniinpiittntt")
_encode = msgspec.json.Encoder().encode


class RunStore(Store):
    """Writes runs."""

    name = "runs"
    version = 3
    tables = ("run",)

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        removed = [(change.run_no,) for change in changes if change.old is not None]
        connection.executemany("DELETE FROM run WHERE run_no = ?", removed)
        connection.executemany(
            _INSERT, [_row(change, change.new) for change in changes if change.new is not None]
        )


def _row(change: Change, run: Run) -> tuple[Any, ...]:
    first_started, last_ended, queued = run.first_started_ns, run.last_ended_ns, run.queued_ns
    wall, idle, source_no = run.wall_clock_ns, run.idle_ns, run.source_no
    progress, fingerprint_no = run.progress, run.fingerprint_no
    return (
        change.run_no,
        change.tenant_no,
        change.task_no,
        run.status,
        run.attempts,
        run.left_out,
        1 if run.recovered else 0,
        1 if run.backfilled else 0,
        run.last_started_ns,
        ABSENT if first_started is None else first_started,
        ABSENT if last_ended is None else last_ended,
        ABSENT if queued is None else queued,
        run.total_execution_ns,
        ABSENT if wall is None else wall,
        ABSENT if idle is None else idle,
        run.overlap_ns,
        -1 if progress is None else progress,
        ABSENT if source_no is None else source_no,
        ABSENT if fingerprint_no is None else fingerprint_no,
        run.error_message or "",
        run.group_id or "",
        bytearray().join(run.trace_ids),
        _encode(run.parents).decode() if run.parents else "",
        _encode(run.causes).decode() if run.causes else "",
    )

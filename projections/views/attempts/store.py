"""Table `attempt`: one row an attempt, replaced where a run's attempts changed."""

import sqlite3
from typing import NamedTuple

from projections.runs.attempt import Attempt
from projections.runs.changes import Change, Changes
from projections.runs.more import extra_of
from projections.runs.scopes import Sources
from projections.runs.words import NUMBER_BITS
from projections.storage.columns import Bound, Columns
from projections.views.store import Store


class AttemptRow(NamedTuple):
    """A row of table `attempt`: what `Attempt` has of the same name, and where it belongs."""

    attempt_key: int
    tenant_no: int
    task_no: int
    is_first: bool
    status: int
    flags: int
    started_ns: int
    ended_ns: int | None
    queued_ns: int | None
    retry_of: int | None
    max_attempts: int | None
    executor_no: int | None
    source_no: int
    error_no: int | None
    message_no: int | None
    heartbeat_ns: int | None
    heard: int | None
    signs: int | None
    progress: float | None
    trace_id: bytes
    span_id: bytes
    partition: int
    position: int
    extra: bytes


COLUMNS = Columns("attempt", AttemptRow)
_bound = COLUMNS.binder(Attempt)


class AttemptStore(Store):
    """Writes attempts."""

    name = "attempts"
    version = 5
    tables = ("attempt",)

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        removed = [
            (change.run_no << NUMBER_BITS | attempt.number,)
            for change in changes
            for attempt in change.gone
        ]
        connection.executemany("DELETE FROM attempt WHERE attempt_key = ?", removed)
        added = [self._row(change, attempt) for change in changes for attempt in change.came]
        connection.executemany(COLUMNS.insert, added)

    def _row(self, change: Change, attempt: Attempt) -> Bound:
        return _bound(
            attempt,
            attempt_key=change.run_no << NUMBER_BITS | attempt.number,
            tenant_no=change.tenant_no,
            task_no=change.task_no,
            is_first=change.is_first and attempt.number == 1,
            executor_no=self._sources.source_parts(attempt.source_no)[0],
            extra=b"" if attempt.more is None else extra_of(attempt.more),
        )

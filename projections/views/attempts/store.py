"""Table `attempt`: one row an attempt, replaced where a run's attempts changed."""

import sqlite3
from typing import Any

from projections.runs.attempt import Attempt
from projections.runs.changes import Change, Changes
from projections.runs.more import extra_of
from projections.runs.scopes import Sources
from projections.runs.words import NUMBER_BITS
from projections.storage.columns import ABSENT, insert_into
from projections.views.store import Store

_INSERT = insert_into("attempt", "nnnnnniiiiinitiiipnnnnt")

Row = tuple[Any, ...]


class AttemptStore(Store):
    """Writes attempts."""

    name = "attempts"
    version = 3
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
        connection.executemany(_INSERT, added)

    def _row(self, change: Change, attempt: Attempt) -> Row:
        ended, queued, retry_of = attempt.ended_ns, attempt.queued_ns, attempt.retry_of
        most, executor_no = attempt.max_attempts, self._executor_no(attempt.source_no)
        fingerprint_no, heartbeat = attempt.fingerprint_no, attempt.heartbeat_ns
        heard, signs = attempt.heard, attempt.signs
        return (
            change.run_no << NUMBER_BITS | attempt.number,
            change.tenant_no,
            change.task_no,
            attempt.status,
            attempt.flags,
            attempt.started_ns,
            ABSENT if ended is None else ended,
            ABSENT if queued is None else queued,
            ABSENT if retry_of is None else retry_of,
            ABSENT if most is None else most,
            ABSENT if executor_no is None else executor_no,
            attempt.source_no,
            ABSENT if fingerprint_no is None else fingerprint_no,
            attempt.message or "",
            ABSENT if heartbeat is None else heartbeat,
            ABSENT if heard is None else heard,
            ABSENT if signs is None else signs,
            -1 if attempt.progress is None else attempt.progress,
            bytearray(attempt.trace_id),
            bytearray(attempt.span_id),
            attempt.partition,
            attempt.position,
            "" if attempt.more is None else extra_of(attempt.more),
        )

    def _executor_no(self, source_no: int) -> int | None:
        return self._sources.source_parts(source_no)[0]

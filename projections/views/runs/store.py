"""Table `run`: one row a run."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from projections.runs.changes import Change, Changes
from projections.runs.derive import Attempt, Run
from projections.storage.columns import ABSENT, insert_into
from projections.storage.store import Store

_INSERT = insert_into("run", "nnnnnnnniiiniinpiittntt")
_encode = msgspec.json.Encoder().encode


class RunStore(Store):
    """Writes runs."""

    name = "runs"
    version = 2
    tables = ("run",)

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """See `Store.update`."""
        removed = [(change.run_no,) for change in changes if change.old is not None]
        connection.executemany("DELETE FROM run WHERE run_no = ?", removed)
        connection.executemany(
            _INSERT, [_row(change, change.new) for change in changes if change.new is not None]
        )


def _row(change: Change, run: Run) -> tuple[Any, ...]:
    attempts = run.attempts
    last = attempts[-1] if attempts else None
    failure = _failure(attempts)
    progress = None if last is None else last.progress
    first_started, last_ended, queued = run.first_started_ns, run.last_ended_ns, run.queued_ns
    wall, idle = run.wall_clock_ns, run.idle_ns
    parents, causes = _relatives(attempts)
    return (
        change.run_no,
        change.tenant_no,
        change.task_no,
        run.status,
        len(attempts),
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
        ABSENT if last is None else last.source_no,
        ABSENT if failure is None or failure.fingerprint_no is None else failure.fingerprint_no,
        "" if failure is None else failure.message or "",
        _last_group(attempts) or "",
        _trace_ids(attempts),
        parents,
        causes,
    )


def _failure(attempts: Sequence[Attempt]) -> Attempt | None:
    for attempt in reversed(attempts):
        if attempt.fingerprint_no is not None:
            return attempt
    return None


def _relatives(attempts: Sequence[Attempt]) -> tuple[str, str]:
    parents = [a.more.parents for a in attempts if a.more is not None and a.more.parents]
    causes = [a.more.causes for a in attempts if a.more is not None and a.more.causes]
    return _united(parents) if parents else "", _united(causes) if causes else ""


def _last_group(attempts: Sequence[Attempt]) -> str | None:
    if len(attempts) == 1:
        return attempts[0].group_id
    return next((a.group_id for a in reversed(attempts) if a.group_id), None)


def _trace_ids(attempts: Sequence[Attempt]) -> bytearray:
    if len(attempts) == 1:
        return bytearray(attempts[0].trace_id)
    return bytearray().join(dict.fromkeys(attempt.trace_id for attempt in attempts))


def _united(lists: Iterable[Sequence[str]]) -> str:
    texts = list(dict.fromkeys(text for texts in lists for text in texts))
    return _encode(texts).decode() if texts else ""

"""Table `run`: one row a run."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from projections.derive import Attempt, Run
from projections.registry.runs import Change
from projections.store import Store

_INSERT = f"INSERT INTO run VALUES ({', '.join('?' * 23)})"
_encode = msgspec.json.Encoder().encode


class RunStore(Store):
    """Writes runs."""

    name = "runs"
    tables = ("run",)

    def update(self, connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
        """See `Store.update`."""
        changed = [change for change in changes if change.old != change.new]
        removed = [(change.run_no,) for change in changed if change.old is not None]
        connection.executemany("DELETE FROM run WHERE run_no = ?", removed)
        connection.executemany(
            _INSERT, [_row(change, change.new) for change in changed if change.new is not None]
        )


def _row(change: Change, run: Run) -> tuple[Any, ...]:
    last = run.attempts[-1] if run.attempts else None
    failure = next((a for a in reversed(run.attempts) if a.fingerprint_no is not None), None)
    return (
        change.run_no,
        change.tenant_no,
        change.task_no,
        run.status,
        len(run.attempts),
        run.recovered,
        run.backfilled,
        run.last_started_ns,
        run.first_started_ns,
        run.last_ended_ns,
        run.queued_ns,
        run.total_execution_ns,
        run.wall_clock_ns,
        run.idle_ns,
        run.overlap_ns,
        None if last is None else last.progress,
        None if last is None else last.source_no,
        None if failure is None else failure.fingerprint_no,
        None if failure is None else failure.message,
        _last_group(run.attempts),
        _trace_ids(run.attempts),
        _united(a.more.parents for a in run.attempts if a.more is not None),
        _united(a.more.causes for a in run.attempts if a.more is not None),
    )


def _last_group(attempts: Sequence[Attempt]) -> str | None:
    if len(attempts) == 1:
        return attempts[0].group_id
    return next((a.group_id for a in reversed(attempts) if a.group_id), None)


def _trace_ids(attempts: Sequence[Attempt]) -> bytes:
    if len(attempts) == 1:
        return attempts[0].trace_id
    return b"".join(dict.fromkeys(attempt.trace_id for attempt in attempts))


def _united(lists: Iterable[Sequence[str]]) -> str | None:
    texts = list(dict.fromkeys(text for texts in lists for text in texts))
    return _encode(texts).decode() if texts else None

"""Attempts, one row each."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="attempts",
    path="attempts",
    sentence="List single tries.",
    about="List attempts: single tries of a task, newest first.",
    nothing="no such attempt yet",
    columns=(
        Column("task", "task_id", narrow=16),
        Column("run", "run_id", drop=6),
        Column("try", "attempt", Kind.COUNT),
        Column("status", "status", Kind.STATUS),
        Column("duration", "duration_ns", Kind.DURATION),
        Column("error", "error.type", drop=3, narrow=16),
        Column("message", "error.message", drop=5, narrow=24),
        Column("executor", "executor", drop=7),
        Column("queue", "queue", drop=8),
        Column("trace", "trace_id", drop=4, narrow=32),
        Column("started", "started_ns", Kind.MOMENT, drop=1),
    ),
    examples=(
        "spanledger attempts --status failed --since 1h",
        "spanledger attempts --task nightly-report --executor worker-3 --json",
    ),
)

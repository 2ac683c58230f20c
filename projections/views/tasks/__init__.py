"""Tasks, one row each."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="tasks",
    path="tasks",
    sentence="List tasks with their latest run.",
    about="List tasks with the state of their latest run.",
    nothing="no such task yet",
    columns=(
        Column("task", "task_id", narrow=16),
        Column("name", "name", drop=5),
        Column("status", "status", Kind.STATUS),
        Column("runs", "runs", Kind.COUNT, drop=4),
        Column("attempts", "attempts", Kind.COUNT, drop=2),
        Column("retries", "retries", Kind.COUNT, drop=3),
        Column("execution", "total_execution_ns", Kind.DURATION, drop=1),
        Column("executor", "executor", drop=7),
        Column("last error", "error.type", drop=6),
        Column("last", "last_started_ns", Kind.MOMENT, drop=1),
    ),
    examples=(
        "spanledger tasks --status failed --since 1d",
        "spanledger tasks --q nightly- --watch",
        "spanledger tasks --json | jq '.items[].task_id'",
    ),
)

"""Runs, one row each."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="runs",
    path="runs",
    sentence="List runs of tasks, all retries included.",
    about="List runs: executions of tasks with all their retries, newest first.",
    nothing="no such run yet",
    columns=(
        Column("run", "run_id", narrow=12),
        Column("task", "task_id", narrow=12),
        Column("group", "group_id", drop=8),
        Column("status", "status", Kind.STATUS),
        Column("attempts", "attempts", Kind.COUNT, drop=2),
        Column("retries", "retries", Kind.COUNT, drop=3),
        Column("recovered", "recovered", Kind.YES, drop=4),
        Column("execution", "total_execution_ns", Kind.DURATION, drop=1),
        Column("wall clock", "wall_clock_ns", Kind.DURATION, drop=6),
        Column("idle", "idle_ns", Kind.DURATION, drop=7),
        Column("started", "first_started_ns", Kind.MOMENT, drop=1),
    ),
    examples=(
        "spanledger runs --task nightly-report",
        "spanledger runs --min-attempts 2 --since 1d --csv > retried.csv",
    ),
)

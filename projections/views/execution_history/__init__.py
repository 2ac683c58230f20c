"""State transitions."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="history",
    path="history",
    sentence="List what changed when.",
    about="List what changed when: the transitions between states, newest first.",
    nothing="no such change yet",
    columns=(
        Column("when", "time_ns", Kind.MOMENT),
        Column("task", "task_id", narrow=12),
        Column("run", "run_id", drop=3),
        Column("try", "attempt", Kind.COUNT, drop=1),
        Column("from", "old_status", Kind.STATUS, drop=2),
        Column("to", "new_status", Kind.STATUS),
        Column("reason", "reason", drop=4, narrow=12),
    ),
    examples=(
        "spanledger history --task nightly-report",
        "spanledger history --status abandoned --since 1d",
    ),
)

"""What was done about failures, and whether it worked."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="recovery",
    path="recovery/actions",
    sentence="Show what was done about failures.",
    about="Show what was done about failures, and how often it worked, by category and component.",
    nothing="no recovery was recorded yet",
    columns=(
        Column("category", "category"),
        Column("action", "action", narrow=12),
        Column("component", "component", narrow=12),
        Column("tried", "tried", Kind.COUNT),
        Column("succeeded", "succeeded", Kind.COUNT),
        Column("skipped", "skipped", Kind.COUNT, drop=2),
        Column("share", "share", Kind.RATIO),
        Column("at least", "low", Kind.RATIO, drop=1),
        Column("at most", "high", Kind.RATIO, drop=1),
        Column("takes", "duration_s", Kind.SECONDS, drop=3),
        Column("last", "last_ns", Kind.MOMENT, drop=3),
    ),
    examples=("spanledger recovery --since 1w", "spanledger recovery --component billing"),
)

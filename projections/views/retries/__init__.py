"""What retries came to: no tables of its own, read from error patterns and attempts."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="retries",
    path="retries",
    sentence="Show how often retries helped.",
    about="Show what came of retries, by category or error pattern, and what that advises.",
    nothing="nothing was tried again yet",
    columns=(
        Column("category", "category"),
        Column("pattern", "fingerprint", narrow=12),
        Column("type", "type", drop=3, narrow=12),
        Column("try", "attempt", Kind.COUNT),
        Column("made", "tried", Kind.COUNT),
        Column("succeeded", "succeeded", Kind.COUNT),
        Column("share", "share", Kind.RATIO),
        Column("at least", "low", Kind.RATIO, drop=1),
        Column("at most", "high", Kind.RATIO, drop=1),
        Column("after", "wait_s", Kind.SECONDS, drop=2),
        Column("advice", "advice", narrow=16),
    ),
    examples=("spanledger retries --since 1w", "spanledger retries --by pattern"),
)

"""Where attempts fail most: by component, task, executor, host or version."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="hotspots",
    path="hotspots",
    sentence="Show where attempts fail most.",
    about="Show where attempts fail most within the last 24 hours, or since and until.",
    nothing="no failures; good",
    columns=(
        Column("place", "key", narrow=16),
        Column("failures", "failures", Kind.COUNT),
        Column("attempts", "attempts", Kind.COUNT, drop=2),
        Column("rate", "failure_rate", Kind.RATIO),
        Column("share", "share", Kind.RATIO, drop=3),
        Column("patterns", "patterns", Kind.COUNT, drop=4),
        Column("last seen", "last_seen_ns", Kind.MOMENT, drop=1),
    ),
    examples=("spanledger hotspots --by host --since 6h",),
)

"""How well each component does: a score with what it was reduced for, and the risk of failure."""

from projections.query.table import Column, Kind, Table

TABLE = Table(
    name="health",
    path="health/components",
    sentence="Show how well each component does.",
    about="Show a score of each component for the last 24 hours, the worst first; --json has what"
    " it was reduced for.",
    nothing="no component was active in the last 24 hours",
    columns=(
        Column("component", "component", narrow=16),
        Column("score", "score"),
        Column("attempts", "attempts", Kind.COUNT, drop=3),
        Column("failures", "failures", Kind.COUNT, drop=1),
        Column("runs lost", "runs_lost", Kind.COUNT, drop=2),
        Column("new errors", "new_errors", Kind.COUNT, drop=4),
        Column("risk next hour", "risk.probability", Kind.RATIO),
    ),
    examples=("spanledger health --component billing --json",),
)

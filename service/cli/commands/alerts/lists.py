"""Lists of alerts, of their history and of receivers."""

from typing import Annotated, Final, Literal

import typer

from projections.query.table import Column, Kind
from service.cli.command import command
from service.cli.options import Asking, Cursor, Form
from service.cli.output.documents import drawing_of_list, write
from service.cli.source.source import open_source

ALERTS: Final = (
    Column("state", "state"),
    Column("severity", "severity", drop=3),
    Column("rule", "rule", narrow=12),
    Column("since", "since_ns", Kind.MOMENT),
    Column("muted", "muted", Kind.YES, drop=2),
    Column("summary", "summary", narrow=30),
    Column("id", "id", drop=1, narrow=8),
)
HISTORY: Final = (
    Column("when", "at_ns", Kind.MOMENT),
    Column("change", "change"),
    Column("severity", "alert.severity", drop=2),
    Column("rule", "alert.rule", narrow=12),
    Column("summary", "alert.summary", narrow=30),
)
RECEIVERS: Final = (
    Column("receiver", "name", narrow=14),
    Column("sent", "sent", Kind.COUNT),
    Column("failed", "failed", Kind.COUNT, drop=2),
    Column("waiting", "waiting", Kind.COUNT),
    Column("given up", "parked", Kind.COUNT),
    Column("error", "error", narrow=20),
)
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most this many.")]


@command
def list_alerts(
    asking: Asking,
    form: Form,
    state: Annotated[
        Literal["pending", "firing", "resolved"] | None,
        typer.Option("--state", help="Only in this state."),
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Only of this rule.")] = None,
    limit: Limit = 100,
) -> None:
    """List alerts: firing ones first, then pending, then those that were resolved within a day.

    Examples:

        spanledger alerts list --state firing
    """
    filters = {"state": state, "rule": rule, "limit": limit}
    with open_source(asking) as source:
        write(lambda: source.ask("alerts", filters), form, drawing_of_list(ALERTS, "no alerts"))


@command
def receivers(asking: Asking, form: Form) -> None:
    """List receivers: what was sent, what waits, what was given up, and the last error.

    Examples:

        spanledger alerts receivers
    """

    with open_source(asking) as source:
        write(
            lambda: {"items": source.ask("alerts", {})["receivers"], "next": None},
            form, drawing_of_list(RECEIVERS, "nobody was told yet"),
        )  # fmt: skip


@command
def history(
    asking: Asking,
    form: Form,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List what fired and was resolved, newest first.

    Examples:

        spanledger alerts history -n 20
    """
    filters = {"limit": limit, "cursor": cursor}
    with open_source(asking) as source:
        write(
            lambda: source.ask("alerts/history", filters), form,
            drawing_of_list(HISTORY, "no alert fired yet"),
        )  # fmt: skip

"""`spanledger errors`: failures by pattern, the occurrences of one, and what an error is."""

from functools import partial
from typing import Annotated, Any

import typer
import typer.core
from rich.console import Group, RenderableType
from rich.text import Text

from projections.endpoints import path_of
from projections.query.table import Column, Kind
from projections.views.attempts import TABLE as ATTEMPTS
from projections.views.error_patterns.answers.chosen import ErrorsQuestion
from service.cli.command import command
from service.cli.commands.errors.classify import classify
from service.cli.commands.errors.compare import compare
from service.cli.commands.errors.triage import triage
from service.cli.filters import filters_of, options_of
from service.cli.lists import show_list
from service.cli.options import Asking, Form
from service.cli.output.documents import Document, write
from service.cli.output.render import console, field_of, grid, write_value, writing_on
from service.cli.source.source import open_source

_DEFAULT = "list"


class PatternsFirst(typer.core.TyperGroup):
    """A group that lists patterns, or shows one, where no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else [_DEFAULT, *args])


app = typer.Typer(cls=PatternsFirst, help="Error patterns: list, show, decide, classify.")
app.command("classify")(classify)
app.command("triage")(triage)
app.command("compare")(compare)

COLUMNS = (
    Column("fingerprint", "fingerprint", narrow=32),
    Column("type", "type", narrow=12),
    Column("message", "message", drop=4, narrow=16),
    Column("category", "category", drop=6),
    Column("state", "state", drop=7),
    Column("count", "count", Kind.COUNT),
    Column("lost", "runs_lost", Kind.COUNT, drop=8),
    Column("recovered", "recovered", Kind.COUNT, drop=3),
    Column("tasks", "tasks", Kind.COUNT, drop=2),
    Column("first seen", "first_seen_ns", Kind.MOMENT, drop=5),
    Column("last seen", "last_seen_ns", Kind.MOMENT, drop=1),
)


@app.command(_DEFAULT)
@partial(command, options=options_of(ErrorsQuestion))
def errors(
    options: Any,
    asking: Asking,
    form: Form,
    fingerprint: Annotated[
        str | None,
        typer.Argument(metavar="[FINGERPRINT]", help="Show this pattern and its occurrences."),
    ] = None,
) -> None:
    """List error patterns, or show one with its occurrences.

    Examples:

        spanledger errors --since 1d

        spanledger errors 5f1c0d2a9b3e4f60
    """
    filters = filters_of(options)
    if fingerprint is None:
        show_list("errors", filters, COLUMNS, asking, form, nothing="no errors; good")
        return
    with open_source(asking) as source:

        def ask() -> dict[str, Any]:
            views = asking.of_views()
            pattern = source.ask(path_of("errors", fingerprint), views)
            path = path_of("errors", fingerprint, "occurrences")
            failures = source.ask(path, {**views, **filters()})
            return {**pattern, **failures}

        write(ask, form, draw_pattern)


def draw_pattern(document: Document) -> RenderableType:
    """One pattern above its occurrences."""
    out = console()
    writing = writing_on(out)
    lines = [
        Text.assemble((f"{column.title:>12}  ", "bold"), write_value(value, column.kind, writing))
        for column in COLUMNS
        if (value := field_of(document, column.field)) is not None
    ]
    return Group(*lines, Text(""), grid(ATTEMPTS.columns, document["items"], out))

"""`spanledger errors`: failures by pattern, and the occurrences of one."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from service.cli.command import command
from service.cli.commands import attempts
from service.cli.lists import question, show_list
from service.cli.options import (
    FILTERS,
    Asking,
    Component,
    Form,
    Paging,
    Sorting,
    Task,
    Window,
)
from service.cli.output.answers import Document, write
from service.cli.output.render import Column, Kind, console, field_of, grid, write_value, writing_on
from service.cli.source.source import open_source

COLUMNS = (
    Column("fingerprint", "fingerprint", narrow=32),
    Column("type", "type", narrow=12),
    Column("message", "message", drop=4, narrow=16),
    Column("count", "count", Kind.COUNT),
    Column("recovered", "recovered", Kind.COUNT, drop=3),
    Column("tasks", "tasks", Kind.COUNT, drop=2),
    Column("first seen", "first_seen_ns", Kind.MOMENT, drop=5),
    Column("last seen", "last_seen_ns", Kind.MOMENT, drop=1),
)


@dataclass(frozen=True)
class Patterns:
    """Which patterns."""

    recovered: Annotated[
        bool | None,
        typer.Option(
            "--recovered/--unrecovered",
            help="Only patterns that some run recovered from, or that none did.",
            rich_help_panel=FILTERS,
        ),
    ] = None
    q: Annotated[
        str | None,
        typer.Option(
            "--q",
            metavar="PREFIX",
            help="Only patterns whose fingerprint or type begins so.",
            rich_help_panel=FILTERS,
        ),
    ] = None


@command
def errors(
    window: Window,
    patterns: Patterns,
    sorting: Sorting,
    paging: Paging,
    asking: Asking,
    form: Form,
    fingerprint: Annotated[
        str | None,
        typer.Argument(metavar="[FINGERPRINT]", help="Show this pattern and its occurrences."),
    ] = None,
    task: Task = None,
    component: Component = None,
) -> None:
    """List error patterns, or show one with its occurrences.

    Examples:

        spanledger errors --since 1d

        spanledger errors 5f1c0d2a9b3e4f60
    """
    filters = question(
        window,
        sorting,
        paging,
        task=task,
        component=component,
        recovered=patterns.recovered,
        q=patterns.q,
    )
    if fingerprint is None:
        show_list("errors", filters, COLUMNS, asking, form, nothing="no errors; good")
        return
    with open_source(asking) as source:

        def ask() -> dict[str, Any]:
            views = asking.of_views()
            pattern = source.ask(f"errors/{fingerprint}", views)
            found = source.ask(f"errors/{fingerprint}/occurrences", {**views, **filters()})
            return {**pattern, **found}

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
    return Group(*lines, Text(""), grid(attempts.COLUMNS, document["items"], out))

"""`spanledger mappings explain` and `unmatched`: the rules in force, looked at through the log."""

from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from projections.endpoints import path_of
from projections.mapping_questions import EVENTS_LIMIT
from projections.query import ids
from projections.query.table import Column, Kind
from service.cli.command import command
from service.cli.mapping.rules import UNMATCHED, draw_trial, with_inferred
from service.cli.options import Asking, Form
from service.cli.output.documents import Document, drawing_of_list, write
from service.cli.output.render import console, grid
from service.cli.source.source import open_source

WORDS: Final = (
    Column("word", "word", narrow=16),
    Column("rule", "rule", narrow=16),
    Column("attempts", "attempts", Kind.COUNT),
)


@command
def explain(
    asking: Asking,
    form: Form,
    trace_id: Annotated[
        str, typer.Argument(metavar="TRACE_ID", help="A trace in the log, as any tool shows it.")
    ],
) -> None:
    """Tell of a trace which rule took each span, where each field came from, what was concluded.

    The rules are those in force; only spans of the trace itself are looked at.

    Examples:

        spanledger mappings explain 5b8efff798038103d269b633813fc60c
    """
    ids.trace_ids(trace_id)  # what is no id needs no service to say so
    with open_source(asking) as source:
        path = path_of("traces", trace_id, "explain")
        write(
            lambda: with_inferred(source.ask(path, asking.of_views())),
            form,
            draw_trial,
        )


@command
def unmatched(
    asking: Asking,
    form: Form,
    events: Annotated[
        int,
        typer.Option(
            "--events",
            metavar="NUMBER",
            min=1,
            max=EVENTS_LIMIT,
            help="So many of the log's last events count.",
        ),
    ] = EVENTS_LIMIT,
) -> None:
    """List what no rule in force takes, by scope and name, and words that no rule knows.

    Examples:

        spanledger mappings unmatched --events 10000
    """
    filters = {**asking.of_views(), "events": events}
    with open_source(asking) as source:
        write(lambda: source.ask("mappings/unmatched", filters), form, _draw_unmatched)


def _draw_unmatched(document: Document) -> RenderableType:
    drawn = drawing_of_list(UNMATCHED, "every span is taken by a rule")(document)
    if not document["words"]:
        return drawn
    words = grid(WORDS, document["words"], console())
    return Group(drawn, Text(""), Text("no word for a result:"), words)

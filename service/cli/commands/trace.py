"""`spanledger trace`: one trace, its attempts in order and all its spans."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.times import human_duration
from projections.endpoints import path_of
from projections.query import ids
from projections.query.table import Column, Kind
from service.cli.command import command
from service.cli.options import PAGES, Asking, Cursor, Form
from service.cli.output.documents import Document, write
from service.cli.output.render import console, grid, write_status, writing_on
from service.cli.output.timeline import draw_spans, tree
from service.cli.source.source import Source, open_source

MOST_LINES: Final = 200
COLUMNS = (
    Column("try", "attempt", Kind.COUNT),
    Column("task", "task_id", narrow=12),
    Column("status", "status", Kind.STATUS),
    Column("duration", "duration_ns", Kind.DURATION),
    Column("error", "error.type", drop=1),
    Column("message", "error.message", drop=3, narrow=16),
    Column("executor", "executor", drop=4),
    Column("started", "started_ns", Kind.MOMENT, drop=2),
)


@command
def trace(
    asking: Asking,
    form: Form,
    trace_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The trace id: 32 hex digits, or as another tool shows it."
        ),
    ],
    every_span: Annotated[
        bool,
        typer.Option("--all", help=f"Every span: all pages, and more than {MOST_LINES} lines."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="NUMBER",
            min=1,
            help="At most so many spans and log records.",
            rich_help_panel=PAGES,
        ),
    ] = None,
    cursor: Cursor = None,
) -> None:
    """Show a trace: its attempts in order, and its spans as a tree with a time line.

    Examples:

        spanledger trace 5b8efff798038103d269b633813fc60c

        spanledger trace 5b8efff798038103d269b633813fc60c --json
    """
    ids.trace_ids(trace_id)  # what is no id needs no service to say so
    most = None if every_span else MOST_LINES
    filters = {**asking.of_views(), "limit": limit, "cursor": cursor}
    with open_source(asking) as source:
        write(
            lambda: _ask(source, trace_id, filters, every_page=every_span),
            form,
            lambda document: draw_trace(document, most),
        )


def _ask(
    source: Source, trace_id: str, filters: Mapping[str, Any], *, every_page: bool
) -> dict[str, Any]:
    """A page of the trace, or all that follow as one document."""
    path = path_of("traces", trace_id)
    document = source.ask(path, filters)
    while every_page and document["next"]:
        further = source.ask(path, {**filters, "cursor": document["next"]})
        for name in ("spans", "logs"):
            further[name] = document[name] + further[name]
        document = further
    return document


def draw_trace(document: Document, most: int | None) -> RenderableType:
    """Summary, attempts, then the tree of at most `most` spans."""
    out = console()
    spans: Sequence[Mapping[str, Any]] = document["spans"]
    attempts: Sequence[Mapping[str, Any]] = document["attempts"]
    bounds = bounds_of([*spans, *({**a, "start_ns": a.get("started_ns")} for a in attempts)])
    parts: list[RenderableType] = [_summary(document, bounds)]
    if attempts:
        parts += [Text(""), grid(COLUMNS, attempts, out)]
    if spans:
        branches = tree(spans)
        by_span = {str(a["span_id"]): a for a in attempts if a.get("span_id")}
        parts += [Text(""), *draw_spans(branches[:most], bounds, by_span, out)]
        if most is not None and len(branches) > most:
            parts.append(Text(f"{len(branches) - most} more spans: --all", style="dim"))
    if document["next"]:
        told = len(spans) + len(document["logs"])
        rest = f"{told} of {document['total']} spans and log records; more: --all, or --cursor "
        parts.append(Text(rest + document["next"], style="dim"))
    return Group(*parts)


def bounds_of(spans: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """First start and last end of the spans, in ns."""
    starts = [int(span["start_ns"]) for span in spans if span.get("start_ns")]
    ends = [int(span["end_ns"]) for span in spans if span.get("end_ns")]
    if not starts:
        return 0, 0
    return min(starts), max([*ends, *starts])


def _summary(document: Document, bounds: tuple[int, int]) -> Text:
    out = console()
    retries = document["retry_count"]
    summary = Text.assemble(("trace ", "bold"), str(document.get("trace_id", "")), "  ")
    status = document.get("final_status")
    if status:
        summary.append_text(write_status(str(status), writing_on(out)))
    attempts, spans = len(document["attempts"]), len(document["spans"])
    summary.append(
        f"\n{attempts} {'attempt' if attempts == 1 else 'attempts'}, "
        f"{retries} {'retry' if retries == 1 else 'retries'}, "
        f"{spans} {'span' if spans == 1 else 'spans'}, {human_duration(bounds[1] - bounds[0])}"
    )
    return summary

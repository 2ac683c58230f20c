"""`spanledger projections`: how far the views are, and building them again from the log."""

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import BadInput, Unavailable
from events.log.reader import open_reader
from projections.query.table import Column, Kind
from projections.query.times import parse_moment
from service.cli.command import command
from service.cli.options import Asking, Data, Form, Json
from service.cli.output.documents import Document, drawing_of_list, write, write_json
from service.cli.output.render import console, grid, pairs, plain, writing_on
from service.cli.source.completion import complete_projection, complete_view
from service.cli.source.folder import existing_folder
from service.cli.source.projector import ask_projector
from service.cli.source.source import open_source

app = typer.Typer(no_args_is_help=True, help="See, rebuild and switch the views.")

LONGEST_WAIT_S: Final = 30.0
COLUMNS = (
    Column("projection", "name", narrow=17),
    Column("state", "state"),
    Column("version", "version", Kind.COUNT, drop=3),
    Column("position", "position", narrow=8),
    Column("lag", "lag_events", Kind.COUNT),
    Column("behind", "lag_s", Kind.SECONDS, drop=1),
    Column("dead letters", "dead_letters", Kind.COUNT, drop=2),
    Column("updated", "updated_at", Kind.MOMENT, drop=4),
)
STATUS: Final = (
    Column("projection", "name", narrow=17),
    Column("state", "status"),
    Column("since", "since", Kind.MOMENT, drop=3),
    Column("version", "version", Kind.COUNT, drop=3),
    Column("position", "position", narrow=8),
    Column("lag", "lag_events", Kind.COUNT),
    Column("behind", "lag_seconds", Kind.SECONDS, drop=1),
    Column("dead letters", "dead_letters", Kind.COUNT, drop=2),
    Column("updated", "updated", Kind.MOMENT, drop=4),
)
GENERATIONS: Final = (
    Column("generation", "number", Kind.COUNT),
    Column("active", "active", Kind.YES),
    Column("created", "created_ns", Kind.MOMENT),
    Column("activated", "activated_ns", Kind.MOMENT, drop=1),
    Column("retired", "retired_ns", Kind.MOMENT, drop=2),
)

Some = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME]...", help="Only these projections.", autocompletion=complete_projection
    ),
]


@app.command("list")
@command
def list_projections(asking: Asking, form: Form) -> None:
    """List the projections: version, position and lag.

    Examples:

        spanledger projections list --watch
    """
    with open_source(asking) as source:
        write(
            lambda: source.ask("projections", asking.of_views()),
            form,
            drawing_of_list(COLUMNS, "no views yet"),
        )


@app.command()
@command
def status(form: Form, data: Data = None) -> None:
    """Show projections, the generations of the views, views of the past, and a rebuild under way.

    Examples:

        spanledger projections status --watch
    """
    folder = existing_folder(data)
    write(lambda: ask_projector(folder, "status"), form, draw_status)


def draw_status(document: Document) -> RenderableType:
    """The projector's answer, projections first."""
    out = console()
    writing = writing_on(out)
    parts: list[RenderableType] = []
    if document.get("failure"):
        parts.append(Text(plain(str(document["failure"])), style="red"))
    parts.append(grid(STATUS, document["projections"], out))
    if document["generations"]:
        parts += [Text(""), grid(GENERATIONS, document["generations"], out)]
    if document.get("views"):
        parts += [Text(""), pairs({"views of the past": document["views"]}, writing)]
    if document.get("rebuild"):
        facts = {f"rebuild {name}": value for name, value in document["rebuild"].items()}
        parts += [Text(""), pairs(facts, writing)]
    return Group(*parts)


@app.command()
@command
def rebuild(
    data: Data = None,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Projections.", autocompletion=complete_projection
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Rebuild every projection.")] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="POSITION|TIME",
            help="Stop there, and keep the result as a view of the past named by --view.",
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option("--view", metavar="NAME", help="The name of the view of the past."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fill projections again from the log, beside the live views; readers are never blocked.

    The new views take over when they have caught up. Ctrl-C leaves a rebuild going when the
    service runs it; `projections cancel` stops it.

    Examples:

        spanledger projections rebuild error_patterns

        spanledger projections rebuild --all --as-of 2026-02-01T00:00:00Z --view january
    """
    if bool(names) == every:
        raise BadInput("name the projections to rebuild, or give --all")
    if (as_of is None) != (view is None):
        raise BadInput("--as-of and --view go together")
    folder = existing_folder(data)
    arguments = {
        "names": names or None,
        "as_of": None if as_of is None else position_of(folder, as_of),
        "view": view,
    }
    _perform(folder, "rebuild", arguments, as_json=as_json)


def position_of(data: Path, text: str) -> int:
    """The position that a decimal number is, or that a time had reached."""
    if text.isdecimal():
        return int(text)
    with closing(open_reader(data)) as reader:
        return reader.position_at(0, parse_moment(text, time.time_ns()))


@app.command()
@command
def activate(
    data: Data = None,
    generation: Annotated[
        str | None,
        typer.Argument(
            metavar="[GENERATION]", help="Which one; the newest that was built if not given."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Switch readers to views that were built.

    Examples:

        spanledger projections activate
    """
    _perform(data, "activate", {"generation": generation}, as_json=as_json)


@app.command()
@command
def rollback(data: Data = None, as_json: Json = False) -> None:
    """Switch readers back to the views before the last activation.

    Examples:

        spanledger projections rollback
    """
    _perform(data, "rollback", {}, as_json=as_json)


@app.command()
@command
def cancel(data: Data = None, as_json: Json = False) -> None:
    """Stop a rebuild; `rebuild` with the same names goes on where it stopped.

    Examples:

        spanledger projections cancel
    """
    _perform(data, "cancel", {}, as_json=as_json)


@app.command()
@command
def pause(data: Data = None, names: Some = None, as_json: Json = False) -> None:
    """Apply nothing to the views, or to some projections, until `resume`; the log goes on.

    Examples:

        spanledger projections pause

        spanledger projections pause task_metrics
    """
    _perform(data, "pause", {"names": names}, as_json=as_json)


@app.command()
@command
def resume(data: Data = None, names: Some = None, as_json: Json = False) -> None:
    """Go on after a pause, also after one because of too many dead letters.

    Examples:

        spanledger projections resume
    """
    _perform(data, "resume", {"names": names}, as_json=as_json)


@app.command()
@command
def remove(
    view: Annotated[
        str, typer.Argument(metavar="VIEW", help="Its name.", autocompletion=complete_view)
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Delete a view of the past.

    Examples:

        spanledger projections remove january
    """
    _perform(data, "remove_view", {"name": view}, as_json=as_json)


@app.command()
@command
def wait(
    asking: Asking,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="The longest wait.")
    ] = 60.0,
) -> None:
    """Wait until the views have seen --min-position, or all that is in the log now.

    Exit code 4 if they have not in time.

    Examples:

        spanledger projections wait && spanledger tasks
    """
    deadline = time.monotonic() + timeout_s
    with open_source(asking) as source:
        position = asking.min_position or source.ask("log/head", {})["position"]
        while True:
            left_s = deadline - time.monotonic()
            filters = {
                "view": asking.view,
                "min_position": position,
                "wait_s": round(min(max(left_s, 0), LONGEST_WAIT_S), 3),
            }
            try:
                reached = source.ask("projections", filters)["position"]
            except Unavailable:
                if left_s <= 0:
                    raise
                time.sleep(min(0.2, max(left_s, 0)))
                continue
            typer.echo(reached)
            return


def _perform(data: Path | None, op: str, arguments: dict[str, Any], *, as_json: bool) -> None:
    answer = ask_projector(data, op, **arguments)
    if as_json:
        write_json(answer)
    else:
        out = console()
        out.print(pairs(answer, writing_on(out)))

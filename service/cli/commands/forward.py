"""`spanledger forward`: the targets that the log is forwarded to."""

import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from events.errors import BadInput
from projections.query.table import Column, Kind
from projections.query.times import parse_moment
from service.cli.command import command
from service.cli.options import Data, Form, Json
from service.cli.output.documents import Document, drawing_of_list, write, write_json
from service.cli.source.completion import complete_target
from service.cli.source.folder import existing_folder
from service.cli.source.role import perform
from service.forward.operations import in_its_place

app = typer.Typer(no_args_is_help=True, help="See and steer what is forwarded to Jaeger or Tempo.")

TARGETS: Final = (
    Column("target", "name", narrow=14),
    Column("url", "url", drop=6),
    Column("state", "state"),
    Column("position", "positions", drop=5),
    Column("lag", "lag_events", Kind.COUNT),
    Column("behind", "lag_s", Kind.SECONDS, drop=2),
    Column("sent", "sent", Kind.COUNT, drop=3),
    Column("refused", "refused", Kind.COUNT, drop=4),
    Column("parked", "parked", Kind.COUNT),
    Column("error", "error", drop=1, narrow=16),
)
PARKED: Final = (
    Column("id", "id", Kind.COUNT),
    Column("target", "target", narrow=14),
    Column("first", "first", narrow=8),
    Column("last", "last", drop=2, narrow=8),
    Column("events", "count", Kind.COUNT),
    Column("partial", "partial", Kind.YES, drop=3),
    Column("requeued", "requeued", Kind.YES, drop=4),
    Column("parked", "parked_ns", Kind.MOMENT, drop=1),
    Column("error", "error", narrow=16),
)
Target = Annotated[
    str,
    typer.Argument(metavar="TARGET", help="Its name in the list.", autocompletion=complete_target),
]
Id = Annotated[int | None, typer.Argument(metavar="[ID]", help="Which parked run; or give --all.")]
Every = Annotated[bool, typer.Option("--all", help="All that is parked for the target.")]


def ask_forwarder(data: Path | None, op: str, **arguments: Any) -> Any:
    """What the forwarder answers, or its store while it does not run."""
    return perform(existing_folder(data), "forwarder", op, in_its_place, **arguments)


@app.command("list")
@command
def list_targets(form: Form, data: Data = None) -> None:
    """List targets: what they do, how far behind they are, what was sent and parked.

    Examples:

        spanledger forward list --watch
    """

    def ask() -> dict[str, Any]:
        return {"items": ask_forwarder(data, "status"), "next": None}

    write(ask, form, drawing_of_list(TARGETS, "nothing is forwarded: serve --forward URL"))


@app.command()
@command
def pause(target: Target, data: Data = None, as_json: Json = False) -> None:
    """Stop sending to a target; its cursor stays where it is.

    Examples:

        spanledger forward pause jaeger
    """
    _tell(ask_forwarder(data, "pause", target=target), f"{target} is paused", as_json)


@app.command()
@command
def resume(target: Target, data: Data = None, as_json: Json = False) -> None:
    """Go on sending to a target.

    Examples:

        spanledger forward resume jaeger
    """
    _tell(ask_forwarder(data, "resume", target=target), f"{target} goes on", as_json)


@app.command()
@command
def rewind(
    target: Target,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="POSITION|TIME",
            help="What comes after is sent (again): a position, RFC 3339, or an age.",
        ),
    ],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Put the cursor of a target elsewhere; what comes after is sent, again too.

    Examples:

        spanledger forward rewind jaeger --to 2d

        spanledger forward rewind jaeger --to 0
    """
    is_position = to.isdecimal()
    time_ns = None if is_position else parse_moment(to, time.time_ns())
    place = {"position": to if is_position else None, "time_ns": time_ns}
    answer = ask_forwarder(data, "rewind", target=target, **place)
    positions = ", ".join(answer["positions"].values())
    _tell(answer, f"{target} goes on after position {positions}", as_json)


@app.command()
@command
def parked(
    form: Form,
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[TARGET]", help="Only of this target.", autocompletion=complete_target
        ),
    ] = None,
    data: Data = None,
    after: Annotated[int, typer.Option("--after", metavar="ID", min=0, help="After this id.")] = 0,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, help="At most this many.")
    ] = 50,
) -> None:
    """List runs of events that a target refused for good.

    Examples:

        spanledger forward parked jaeger
    """

    def ask() -> dict[str, Any]:
        found: dict[str, Any] = ask_forwarder(
            data, "parked", target=target, after=after, limit=limit
        )
        return found

    write(ask, form, drawing_of_list(PARKED, "nothing is parked", more="--after"))


@app.command()
@command
def requeue(
    target: Target, run: Id = None, every: Every = False, data: Data = None, as_json: Json = False
) -> None:
    """Send what is parked again.

    Examples:

        spanledger forward requeue jaeger --all
    """
    _settle("requeue", "queued again", target, run, every, data, as_json)


@app.command()
@command
def discard(
    target: Target, run: Id = None, every: Every = False, data: Data = None, as_json: Json = False
) -> None:
    """Give up what is parked for a target; the log keeps the events.

    Examples:

        spanledger forward discard jaeger 17
    """
    _settle("discard", "given up", target, run, every, data, as_json)


def _settle(
    op: str, done: str, target: str, run: int | None, every: bool, data: Path | None, as_json: bool
) -> None:
    if (run is None) != every:
        raise BadInput("name one id, or give --all")
    answer = ask_forwarder(data, op, target=target, id=run)
    _tell(answer, f"{answer['count']} parked for {target}: {done}", as_json)


def _tell(answer: Document, sentence: str, as_json: bool) -> None:
    if as_json:
        write_json(answer)
    else:
        typer.echo(sentence)

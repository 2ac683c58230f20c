"""`spanledger deadletters`: events that a projection could not apply."""

from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import BadInput, NotFound, Unavailable
from events.log.reader import open_reader
from events.times import rfc3339
from projections.query.table import Column, Kind
from projections.storage import deadletters
from projections.storage.deadletters import DeadLetter
from projections.storage.generation import LINK, connect_reader
from service.cli.command import command
from service.cli.options import FILTERS, Data, Form, Json
from service.cli.output.documents import Document, drawing_of_list, write, write_json
from service.cli.output.event_lines import event_document, event_line
from service.cli.output.exits import Failed
from service.cli.output.render import console, pairs, writing_on
from service.cli.source.completion import complete_projection
from service.cli.source.folder import existing_folder
from service.cli.source.projector import ask_projector

app = typer.Typer(no_args_is_help=True, help="See and settle events that could not be applied.")

COLUMNS: Final = (
    Column("id", "id", Kind.COUNT),
    Column("projection", "projection", narrow=17),
    Column("position", "position", narrow=8),
    Column("state", "state", drop=2),
    Column("parked", "parked_ns", Kind.MOMENT, drop=1),
    Column("error", "error", narrow=24),
)
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Which; or give --all.")]
Every = Annotated[bool, typer.Option("--all", help="Every parked one.")]


@app.command("list")
@command
def list_letters(
    form: Form,
    projection: Annotated[
        str | None,
        typer.Option(
            "--projection",
            metavar="NAME",
            help="Only of this projection.",
            autocompletion=complete_projection,
            rich_help_panel=FILTERS,
        ),
    ] = None,
    data: Data = None,
) -> None:
    """List dead letters: events parked because a projection could not apply them.

    Examples:

        spanledger deadletters list --projection attempts
    """
    folder = existing_folder(data)

    def ask() -> dict[str, Any]:
        found = letters(folder, projection=projection)
        return {"items": [letter_document(letter) for letter in found], "next": None}

    write(ask, form, drawing_of_list(COLUMNS, "no dead letters; good"))


@app.command()
@command
def show(
    form: Form,
    letter_id: Annotated[int, typer.Argument(metavar="ID", help="Its id in the list.")],
    data: Data = None,
) -> None:
    """Show one dead letter: the error and the event.

    Examples:

        spanledger deadletters show 3 --json
    """
    folder = existing_folder(data)
    found = letters(folder, letter_id=letter_id)
    if not found:
        raise NotFound(f"no dead letter {letter_id}")
    (letter,) = found
    with closing(open_reader(folder)) as reader:
        wanted = [] if letter.run_no else [letter.position]  # a run's letter is no single event
        events = reader.fetch(letter.partition, wanted)
    document = letter_document(letter) | {"event": event_document(events[0]) if events else None}

    def draw(_: Document) -> RenderableType:
        facts = {name: value for name, value in document.items() if name != "event"}
        return Group(
            pairs(facts, writing_on(console())),
            *([Text(""), event_line(events[0])] if events else []),
        )

    write(lambda: document, form, draw)


@app.command()
@command
def requeue(
    ids: Ids = None, every: Every = False, data: Data = None, as_json: Json = False
) -> None:
    """Apply dead letters again, after what they stumbled on was changed.

    Exit code 1 if any fails again.

    Examples:

        spanledger deadletters requeue --all
    """
    folder = existing_folder(data)
    chosen = _chosen(folder, ids, every)
    answers = [ask_projector(folder, "requeue", id=each) for each in chosen]
    failed = [letter for answer in answers for letter in answer["failed"]]
    _tell(answers, f"queued again, {len(failed)} failed again", as_json)
    if failed:
        raise Failed("; ".join(f"{letter['id']}: {letter['error']}" for letter in failed))


@app.command()
@command
def discard(
    ids: Ids = None,
    every: Every = False,
    projection: Annotated[
        str | None,
        typer.Option(
            "--projection",
            metavar="NAME",
            help="With --position or --run: what is not parked, but stopped a rebuild.",
            autocompletion=complete_projection,
        ),
    ] = None,
    position: Annotated[
        int | None, typer.Option("--position", min=1, metavar="POSITION", help="See --projection.")
    ] = None,
    run: Annotated[
        int | None, typer.Option("--run", min=1, metavar="NUMBER", help="See --projection.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Give events up; the log keeps them, and rebuilds don't stop at them.

    Examples:

        spanledger deadletters discard 3 4

        spanledger deadletters discard --projection attempts --position 120017
    """
    folder = existing_folder(data)
    if (projection is None) != (position is None and run is None) or (position and run):
        raise BadInput("--projection goes together with either --position or --run")
    if projection is not None:
        if ids or every:
            raise BadInput("give ids, --all, or --projection and --position or --run")
        op, which = (
            ("discard_run", {"run": run}) if run else ("discard_event", {"position": str(position)})
        )
        answer = ask_projector(folder, op, projection=projection, **which)
        _tell([answer], "given up", as_json)
        return
    chosen = _chosen(folder, ids, every)
    _tell([ask_projector(folder, "discard", id=each) for each in chosen], "given up", as_json)


def letters(
    data: Path, *, projection: str | None = None, letter_id: int | None = None
) -> list[DeadLetter]:
    """The dead letters of the views that readers see now.

    Raises:
        Unavailable: there are no views yet.
    """
    views = data / LINK
    if not views.exists():
        raise Unavailable(f"there are no views in {data} yet")
    with closing(connect_reader(views.resolve())) as connection:
        return deadletters.listing(connection, projection=projection, id=letter_id)


def letter_document(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON carries it."""
    return letter._asdict() | {
        "position": str(letter.position),
        "event_id": letter.event_id.hex(),
        "run_no": letter.run_no or None,
        "parked_at": rfc3339(letter.parked_ns),
    }


def _chosen(data: Path, ids: list[int] | None, every: bool) -> list[int]:
    if bool(ids) == every:
        raise BadInput("name the ids, or give --all")
    return ids or [letter.id for letter in letters(data) if letter.state == "parked"]


def _tell(answers: list[dict[str, Any]], done: str, as_json: bool) -> None:
    if as_json:
        write_json({"items": answers})
    else:
        count = len(answers)
        typer.echo(f"{count} {'dead letter' if count == 1 else 'dead letters'} {done}")

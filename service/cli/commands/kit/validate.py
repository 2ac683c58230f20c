"""`spanledger validate`: what an instrumented component records well, and what to fix."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events import names
from events.errors import BadInput, NotFound
from projections.mapping.rules.files import load_rules
from projections.query.table import Column, Kind
from projections.trial import try_rules
from service.cli.command import command
from service.cli.mapping.capture import CAPTURE_BYTES, capture_rows
from service.cli.mapping.logged import rows_of_trace
from service.cli.options import Data, Json
from service.cli.output import exits
from service.cli.output.documents import write_json
from service.cli.output.render import console, grid
from service.cli.source.folder import existing_folder
from service.kit.compliance import Report, Seen, report, seen_in_answer, seen_in_rows

_COLUMNS: Final = (
    Column("check", "check"),
    Column("well", "ok", Kind.YES),
    Column("passed", "passed", Kind.COUNT),
    Column("of", "of", Kind.COUNT),
    Column("asks that", "says", narrow=20),
)


@command
def validate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="ATTEMPTS|TRACE",
            help="A file with OTLP (protobuf, JSON, or lines of it) or with what `attempts --json`"
            " answered; or a trace in the log.",
        ),
    ],
    at_least: Annotated[
        float,
        typer.Option(
            "--at-least", metavar="SCORE", min=0, max=100, help="Exit code 1 below this score."
        ),
    ] = 0.0,
    mappings: Annotated[
        Path | None,
        typer.Option("--mappings", metavar="DIR", help="A folder with rule files of your own."),
    ] = None,
    tenant: Annotated[
        str, typer.Option("--tenant", envvar="SPANLEDGER_TENANT", help="Whose trace.")
    ] = names.DEFAULT_TENANT,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Check what a component records of its attempts: a score from 0 to 100, and what to fix.

    Examples:

        spanledger validate capture.json

        spanledger validate 4bf92f3577b34da6a3ce929d0e0e4736

        spanledger attempts --component billing --json > a.json && spanledger validate a.json
    """
    found = report(_seen(source, mappings, tenant, data))
    if not found.attempts:
        raise NotFound(f"{source} holds no attempt: no span has `task.id`, and no rule takes one")
    if as_json:
        write_json(msgspec.to_builtins(found))
    else:
        console().print(_drawn(found))
    if found.score < at_least:
        raise exits.Failed(f"the score is {found.score:g}, and {at_least:g} is asked for")


def _seen(source: str, mappings: Path | None, tenant: str, data: Path | None) -> list[Seen]:
    path = Path(source)
    if path.exists() or "/" in source or "." in source:
        records = _answer_in(path)
        if records is not None:
            try:
                return seen_in_answer(records)
            except (KeyError, TypeError, AttributeError) as exc:
                raise BadInput(f"{path}: an item is no attempt of this API: {exc!r}") from exc
        rows = capture_rows([path])
    else:
        rows = rows_of_trace(existing_folder(data), tenant, source)
    tried = try_rules(load_rules(mappings), rows, told=False).attempts
    return seen_in_rows(tried, rows)


def _answer_in(path: Path) -> list[dict[str, Any]] | None:
    """The items of a list that the API answered; None if the file is something else."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(CAPTURE_BYTES))
    except OSError as exc:
        raise NotFound(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError:
        return None
    items = document.get("items") if isinstance(document, dict) else None
    return items if isinstance(items, list) else None


def _drawn(found: Report) -> RenderableType:
    out = console()
    items = msgspec.to_builtins(found.items)
    head = Text.assemble(
        ("score  ", "bold"), f"{found.score:g} of 100", f"  ({found.attempts} attempts of "
        f"{found.runs} runs)\n",
    )  # fmt: skip
    parts: list[RenderableType] = [head, grid(_COLUMNS, items, out)]
    for one in found.items:
        if one.fix:
            parts.append(Text.assemble(("\n" + one.check + "  ", "bold"), one.fix))
            parts += [Text(f"  {place}", style="dim") for place in one.examples]
    return Group(*parts)

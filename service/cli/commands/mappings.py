"""`spanledger mappings`: the rules by which other orchestrators' spans become attempts."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.command import command
from service.cli.mapping.explain import explain, unmatched
from service.cli.mapping.rules import check, list_rules, show
from service.cli.options import Data, Json
from service.cli.output.documents import write_json
from service.cli.output.render import console, pairs, writing_on
from service.cli.source.projector import ask_projector
from service.mappings.asking import APPLY

app = typer.Typer(no_args_is_help=True, help="See, try and apply the mapping rules.")


app.command("list")(list_rules)
app.command()(show)
app.command()(check)
app.command()(explain)
app.command()(unmatched)


@app.command()
@command
def apply(
    data: Data = None,
    mappings: Annotated[
        Path | None,
        typer.Option(
            "--mappings",
            metavar="DIR",
            help="Folder of your own rule files; that of the service if not given.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put the rules of the files into force, and map what is in the log anew by them.

    Views by the new rules are filled beside those that are read, and take over when they have
    caught up; until then the rules that were in force go on. A file that cannot be used changes
    nothing, and the message says which rule and key is wrong.

    Examples:

        spanledger mappings apply

        spanledger mappings apply --mappings ./mappings
    """
    directory = None if mappings is None else str(mappings.absolute())
    answer = ask_projector(data, APPLY, directory=directory)
    if as_json:
        write_json(answer)
    else:
        out = console()
        out.print(pairs(answer, writing_on(out)))

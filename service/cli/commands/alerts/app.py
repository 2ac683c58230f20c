"""`spanledger alerts`: its commands, and those that try rules and receivers."""

import asyncio
import os
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from events.errors import BadInput
from projections.query.table import Column, Kind
from service.alerts.evaluation import Evaluation
from service.alerts.file import load
from service.alerts.place import FILE, rules_file
from service.alerts.rule import AlertsFile
from service.alerts.sending.deliveries import try_receiver
from service.alerts.sending.guard import networks_of
from service.cli.command import command
from service.cli.commands.alerts.lists import history, list_alerts, receivers
from service.cli.options import Data, Form, Json
from service.cli.output.documents import drawing_of_list, write, write_json
from service.cli.output.exits import Failed
from service.cli.source.folder import data_folder, existing_folder
from service.configuration.reading import load as load_settings
from service.control.locks import is_held
from service.control.socket import call

app = typer.Typer(no_args_is_help=True, help="See alerts, and try their rules and receivers.")

_PATIENCE_S: Final = 90.0
FOUND: Final = (
    Column("rule", "rule", narrow=14),
    Column("when", "kind"),
    Column("now", "found", Kind.COUNT),
    Column("what", "what", narrow=30),
)
File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="The rules; those of the service if not given."),
]
Receiver = Annotated[str, typer.Argument(metavar="RECEIVER", help="Its name in the file.")]
Allow = Annotated[
    list[str] | None,
    typer.Option("--alerts-allow", metavar="NETWORK", help="As of `serve`, where none runs."),
]


app.command("list")(list_alerts)
app.command()(history)
app.command()(receivers)


@app.command()
@command
def check(form: Form, data: Data = None, file: File = None) -> None:
    """Check the file of rules; and say what each rule finds now, where there are views.

    Examples:

        spanledger alerts check

        spanledger alerts check --file alerts.toml --json
    """
    folder = data_folder(data)
    rules = _read(folder, file)

    def ask() -> dict[str, Any]:
        with closing(Evaluation(folder)) as evaluation:
            outcomes = evaluation.evaluate(rules.rule)
        items = [
            {
                "rule": one.rule.name,
                "kind": one.rule.kind,
                "found": None if one.problem else len(one.found),
                "what": one.problem or "; ".join(found.summary for found in one.found[:3]),
                "problem": one.problem or None,
                "findings": msgspec.to_builtins(one.found),
            }
            for one in outcomes
        ]
        return {
            "items": items, "next": None, "receivers": [one.name for one in rules.receiver],
        }  # fmt: skip

    write(ask, form, drawing_of_list(FOUND, "no rules"))


@app.command("test")
@command
def tell_trial(
    receiver: Receiver,
    data: Data = None,
    file: File = None,
    allow: Allow = None,
    as_json: Json = False,
) -> None:
    """Tell a receiver of a trial alert, once, and say what it answered.

    Asks the service if it runs, so that what is tried is what is in force; with --file, and
    without a service, sends by itself.

    Examples:

        spanledger alerts test ops
    """
    folder = data_folder(data)
    if file is None and is_held(folder, "alerts"):
        answer = call(folder, "alerts", "test", timeout_s=_PATIENCE_S, receiver=receiver)
    else:
        rules, allowed = _read(folder, file), networks_of(allow or ())
        tried = asyncio.run(try_receiver(rules, receiver, allowed, time.time_ns()))
        answer = tried._asdict()
    if as_json:
        write_json(answer)
    elif answer["verdict"] == "taken":
        typer.echo(f"{receiver} took it")
    if answer["verdict"] != "taken":
        raise Failed(f"{receiver} did not take it: {answer['message']}")


@app.command()
@command
def retry(receiver: Receiver, data: Data = None, as_json: Json = False) -> None:
    """Send again what was given up for a receiver.

    Examples:

        spanledger alerts retry ops
    """
    answer = call(existing_folder(data), "alerts", "retry", receiver=receiver)
    if as_json:
        write_json(answer)
    else:
        typer.echo(f"{answer['count']} notices for {receiver} are tried again")


@app.command()
@command
def reload(data: Data = None, as_json: Json = False) -> None:
    """Have the service read its file of rules again, as SIGHUP does.

    Examples:

        spanledger alerts check && spanledger alerts reload
    """
    answer = call(existing_folder(data), "alerts", "reload")
    if as_json:
        write_json(answer)
    else:
        typer.echo(f"{answer['rules']} rules and {answer['receivers']} receivers are in force")


def _read(folder: Path, file: Path | None) -> AlertsFile:
    """The rules of the file that is meant.

    Raises:
        BadInput: there is none, or it cannot be used.
        BadSetting: no file is named, and the settings that say which cannot be used.
    """
    path = file.absolute() if file is not None else _in_force(folder)
    if not path.is_file():
        raise BadInput(f"there is no file {path}; name one with --file")
    return load(path)


def _in_force(folder: Path) -> Path:
    """The file that the running service goes by, else the one that it would by its settings."""
    if is_held(folder, "alerts"):
        return Path(call(folder, "alerts", "status")["file"])
    return rules_file(load_settings({"data": str(folder)}, os.environ)) or folder / FILE

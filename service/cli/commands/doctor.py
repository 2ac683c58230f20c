"""`spanledger doctor`: whether everything is there that the service needs."""

import dataclasses
import os
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from events.errors import BadSetting
from service.cli.command import command
from service.cli.commands.serve import Options
from service.cli.options import Json
from service.cli.output import exits
from service.cli.output.documents import write_json
from service.cli.output.render import console
from service.configuration.reading import data_folder_of, load
from service.configuration.settings import Settings
from service.installation.doctor import Check, examine

_MARKS: Final = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[red]failed[/]"}


@command
def doctor(
    options: Options,  # type: ignore[valid-type]
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check ports, disk, clock, versions, the log and the forward targets; change nothing.

    Takes the options of `spanledger serve`. Exit code 1 if a check failed.

    Examples:

        spanledger doctor

        spanledger doctor --forward otlp+grpc://jaeger:4317 --json
    """
    checks = _examine(dataclasses.asdict(options) | {"config": config})
    if as_json:
        write_json({"ok": _all_right(checks), "checks": msgspec.to_builtins(checks)})
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for check in checks:
            found = Text(check.found)
            if check.hint:
                found.append(f"\n{check.hint}", style="dim")
            table.add_row(check.name, _MARKS[check.state], found)
        console().print(table)
    if not _all_right(checks):
        raise typer.Exit(exits.FAILURE)


def _examine(options: dict[str, object]) -> list[Check]:
    """The checks; settings that cannot be used are one that failed."""
    try:
        settings = load(options, os.environ)
    except BadSetting as exc:
        fallback = Settings(data=data_folder_of(options, os.environ))
        return [Check("settings", "failed", str(exc)), *examine(fallback)]
    return [Check("settings", "ok", "understood"), *examine(settings)]


def _all_right(checks: list[Check]) -> bool:
    return all(check.state != "failed" for check in checks)

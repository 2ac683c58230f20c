"""The command `spanledger`: its commands, loaded when they are called for.

Answers go to standard output. Whatever goes wrong is one line on standard error and an exit
code of `service.cli.output.exits`; a trace is shown in Python's development mode only.
"""

from service.installation.packages import require_own_packages

require_own_packages()  # nothing else of ours can be trusted before

import importlib  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from typing import Annotated, Any, Final, NamedTuple  # noqa: E402

import typer  # noqa: E402
import typer.core  # noqa: E402
import typer.main  # noqa: E402

from events.errors import SpanledgerError  # noqa: E402
from events.private import make_files_private  # noqa: E402
from projections import views  # noqa: E402
from projections.query.table import Table  # noqa: E402
from service.cli.output import exits, streams  # noqa: E402
from service.cli.start import Start  # noqa: E402

_SERVICE: Final = "The service"
_QUESTIONS: Final = "Questions"
_CARE: Final = "The log and the views"


class _Entry(NamedTuple):
    """One command: `attribute` of `service.cli.commands.<module>`, a function or a typer app; or
    the list of a view's table."""

    module: str
    attribute: str
    sentence: str
    panel: str
    table: Table | None = None


COMMANDS: Final = {
    "serve": _Entry("serve", "serve", "Run the service until it is told to stop.", _SERVICE),
    "status": _Entry("status", "status", "Show the whole service at a glance.", _SERVICE),
    "doctor": _Entry("doctor", "doctor", "Check what the service needs.", _SERVICE),
    "token": _Entry("token", "app", "Make, list and revoke access tokens.", _SERVICE),
    "scrub": _Entry("scrub", "app", "Try what is scrubbed before it is stored.", _SERVICE),
    "mappings": _Entry("mappings", "app", "See, try and apply the mapping rules.", _SERVICE),
    "policies": _Entry("policies.app", "app", "See, check, try and apply policies.", _SERVICE),
    "alerts": _Entry("alerts.app", "app", "See alerts, try rules and receivers.", _SERVICE),
    "run": _Entry("run", "app", "Run a command, with its tries as attempts.", _SERVICE),
    "mcp": _Entry("mcp.app", "app", "Answer agents (MCP), and tell clients of it.", _QUESTIONS),
    "simulate": _Entry("kit.simulate", "simulate", "Send runs that fail as chosen.", _SERVICE),
    "validate": _Entry("kit.validate", "validate", "Check what a component records.", _SERVICE),
    "demo": _Entry("demo", "app", "Show Spanledger at work on a small orchestrator.", _SERVICE),
    "trace": _Entry("trace", "trace", "Show one trace with its attempts.", _QUESTIONS),
    "errors": _Entry(
        "errors.patterns", "app", "Error patterns: list, show, decide, classify.", _QUESTIONS
    ),
    "stats": _Entry("stats", "stats", "Show success rates and durations.", _QUESTIONS),
    "log": _Entry("log", "app", "Read, follow and check the event log.", _CARE),
    "projections": _Entry("projections", "app", "See, rebuild and switch the views.", _CARE),
    "deadletters": _Entry("deadletters", "app", "See and settle events that failed.", _CARE),
    "forward": _Entry("forward", "app", "See and steer what is forwarded.", _CARE),
}


def _list_entry(name: str) -> _Entry | None:
    """The command of a view's list, which `service.cli.lists` makes."""
    table = next((one for one in views.tables() if one.name == name), None)
    return None if table is None else _Entry("", name, table.sentence, _QUESTIONS, table)


class LazyCommands(typer.core.TyperGroup):
    """A group that loads a command when it is called; the list of them loads none."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        names = list(COMMANDS)
        place = names.index("trace")  # lists are what people ask first
        return [*names[:place], *(table.name for table in views.tables()), *names[place:]]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name) or _list_entry(cmd_name)
        if entry is None:
            return None
        if self._listing:
            return typer.core.TyperCommand(
                cmd_name, help=entry.sentence, rich_help_panel=entry.panel
            )
        return _load(cmd_name, entry)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._listing = False


def _load(name: str, entry: _Entry) -> Any:
    if entry.table is not None:
        found = importlib.import_module("service.cli.lists").list_command(entry.table)
    else:
        module = importlib.import_module(f"service.cli.commands.{entry.module}")
        found = getattr(module, entry.attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        found = alone
    loaded = typer.main.get_command(found)
    loaded.name = name
    return loaded


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        version = importlib.import_module("service.installation.version").VERSION
        typer.echo(f"spanledger {version}")
        raise typer.Exit


@app.callback(epilog="Every command has --help.")
def spanledger(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Remember every task attempt: OTLP in, a durable event log, answers out."""


def main() -> None:
    """Run the command line of this process."""
    streams.prepare()
    start = Start(sys.argv[1:], make_files_private())
    try:
        app(_arguments(start.arguments), prog_name="spanledger", obj=start)
    except SpanledgerError as exc:
        _end(str(exc), exits.exit_code(exc))
    except OSError as exc:
        _end(str(exc), exits.FAILURE)
    except Exception as exc:
        if sys.flags.dev_mode:
            raise
        hint = "this is a bug; `python -X dev -m service.cli.main …` shows where"
        _end(f"unexpected {type(exc).__name__}: {exc} ({hint})", exits.FAILURE)


def _arguments(given: Sequence[str]) -> Sequence[str]:
    """As text; those of `run` are for another program, and need be none."""
    return given if given[:1] == ["run"] else streams.readable_arguments(given)


def _end(message: str, code: int) -> None:
    streams.complain(message)
    sys.exit(code)


if __name__ == "__main__":
    main()

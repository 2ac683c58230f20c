"""`spanledger run`: any command, tried and recorded; for cron and for shells."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated

import typer

from events.errors import BadInput
from projections.query.times import parse_seconds
from service.cli.command import command
from service.cli.output.streams import complain, readable_arguments
from service.run.process import Command
from service.run.recording import Destination, recording
from service.run.signals import Signals
from service.run.tries import Patience, run_tries
from spanledger_sdk import Run
from spanledger_sdk import run as task_run

RETRIES = "Tries"
WHERE = "Where to send"


@dataclass(frozen=True)
class What:
    """Which task and run this is."""

    task: Annotated[
        str | None,
        typer.Option("--task", metavar="ID", help="Id of the task; the program's name if absent."),
    ] = None
    run_id: Annotated[
        str | None,
        typer.Option("--run-id", metavar="ID", help="Of the run; a new one if absent."),
    ] = None
    attempt: Annotated[
        int,
        typer.Option(
            "--attempt",
            metavar="NUMBER",
            min=1,
            max=1_000_000,
            help="Of the first try, where earlier ones of the run were made elsewhere.",
        ),
    ] = 1
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="ID", help="Run of the flow that this belongs to."),
    ] = None


@dataclass(frozen=True)
class Trying:
    """How often, and for how long."""

    retries: Annotated[
        int,
        typer.Option(
            "--retries", min=0, max=1_000_000, help="Tries after the first.",
            rich_help_panel=RETRIES,
        ),
    ] = 0  # fmt: skip
    retry_delay: Annotated[
        str,
        typer.Option(
            "--retry-delay", metavar="TIME", help="Pause before the second try, such as 5s or 2m.",
            rich_help_panel=RETRIES, show_default=True,
        ),
    ] = "1s"  # fmt: skip
    backoff: Annotated[
        float,
        typer.Option(
            "--backoff", metavar="FACTOR", min=1, max=100, rich_help_panel=RETRIES,
            help="By which each further pause is longer; 1 keeps it.", show_default=True,
        ),
    ] = 2.0  # fmt: skip
    max_retry_delay: Annotated[
        str,
        typer.Option(
            "--max-retry-delay", metavar="TIME", help="The longest pause.",
            rich_help_panel=RETRIES, show_default=True,
        ),
    ] = "5m"  # fmt: skip
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="TIME", help="How long a try may take before SIGTERM.",
            rich_help_panel=RETRIES,
        ),
    ] = None  # fmt: skip
    kill_after: Annotated[
        str,
        typer.Option(
            "--kill-after", metavar="TIME", help="And how much longer before SIGKILL.",
            rich_help_panel=RETRIES, show_default=True,
        ),
    ] = "10s"  # fmt: skip


@dataclass(frozen=True)
class Sending:
    """Where the attempts go."""

    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", envvar="SPANLEDGER_SDK_ENDPOINT", rich_help_panel=WHERE,
            help="OTLP over HTTP; else OTEL_EXPORTER_OTLP_ENDPOINT, else this machine's 4318.",
        ),
    ] = None  # fmt: skip
    token: Annotated[
        str | None,
        typer.Option(
            "--token", metavar="TOKEN", envvar="SPANLEDGER_TOKEN", rich_help_panel=WHERE,
            help="A token of scope ingest.",
        ),
    ] = None  # fmt: skip
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant", metavar="NAME", envvar="SPANLEDGER_TENANT", rich_help_panel=WHERE,
            help="Whose attempts these are.",
        ),
    ] = None  # fmt: skip
    service: Annotated[
        str | None,
        typer.Option(
            "--service", metavar="NAME", envvar="OTEL_SERVICE_NAME", rich_help_panel=WHERE,
            help="Name of the service, as in other telemetry.",
        ),
    ] = None  # fmt: skip
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say it where attempts could not be sent.")
    ] = False


StderrLines = Annotated[
    int,
    typer.Option(
        "--stderr-lines", min=0, max=200, show_default=True,
        help="Lines of the end of its standard error to keep; 0 leaves that one untouched.",
    ),
]  # fmt: skip
Words = Annotated[
    list[str],
    typer.Argument(metavar="-- CMD", help="The command and its arguments.", show_default=False),
]

app = typer.Typer(add_completion=False)


@app.command(context_settings={"allow_interspersed_args": False})
@command
def run(
    context: typer.Context,
    words: Words,
    what: What,
    trying: Trying,
    sending: Sending,
    stderr_lines: StderrLines = 20,
) -> None:
    """Run a command, again if it fails, and record each try as an attempt.

    It behaves as the command does alone: input, output, signals and exit code are its own; 124
    says that the last try took too long. Nothing fails because no service answers: what cannot be
    sent is kept on disk and sent by a later one.

    Examples:

        spanledger run --task nightly.backup --retries 3 --timeout 2h -- /usr/local/bin/backup

        spanledger run --task feeds.poll --retries 5 --retry-delay 10s -- curl -fsS "$FEED"
    """
    start = context.find_root().obj
    own = [os.fsencode(word) for word in start.arguments[-len(words) :]]
    patience = Patience(
        trying.retries,
        parse_seconds("--retry-delay", trying.retry_delay),
        trying.backoff,
        parse_seconds("--max-retry-delay", trying.max_retry_delay),
    )
    timeout_s = None if trying.timeout is None else parse_seconds("--timeout", trying.timeout)
    kill_after_s = parse_seconds("--kill-after", trying.kill_after)
    ran = Command(own, start.umask, os.environb, stderr_lines)
    to = Destination(sending.url, sending.token, sending.tenant, sending.service, sending.verbose)
    task = _task(what, own, trying.retries)
    with Signals(timeout_s, kill_after_s) as signals, recording(to):
        end = run_tries(ran, task, patience, signals, what.attempt)
    if end.could_not_start is not None:
        complain(f"{own[0].decode(errors='replace')}: {end.could_not_start.strerror}")
    raise typer.Exit(end.exit_code)


def _task(what: What, words: Sequence[bytes], retries: int) -> Run:
    given = [what.task, what.run_id, what.group]
    if "" in given:
        raise BadInput("--task, --run-id and --group: an id is a text that is not empty")
    readable_arguments([text for text in given if text is not None])
    task_id = what.task or PurePath(words[0].decode(errors="replace")).name or "command"
    most = what.attempt + retries
    return task_run(task_id, what.run_id, group_id=what.group, max_attempts=most, usage="none")

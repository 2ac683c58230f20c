"""`spanledger errors triage`: what somebody decides of an error, through the API of a service."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from events import names
from events.errors import BadInput
from events.times import parse_duration, parse_iso8601, rfc3339
from projections.endpoints import path_of
from service.cli.command import command
from service.cli.commands.append import url_of
from service.cli.options import Json, Where
from service.cli.output.documents import write_json
from service.cli.source.remote import sendable
from service.cli.source.source import open_remote


@dataclass(frozen=True)
class Deciding:
    """What is decided."""

    resolve: Annotated[
        bool, typer.Option("--resolve", help="It is mended; it reopens if it is seen again.")
    ] = False
    ignore_until: Annotated[
        str | None,
        typer.Option("--ignore-until", metavar="TIME", help="Leave it out of sight until then."),
    ] = None
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Take back that it was resolved or ignored.")
    ] = False
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="Write something beside it.")
    ] = None
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Say who sees to it.")
    ] = None
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Append it once, however often this is run."),
    ] = None

    def body(self) -> dict[str, Any]:
        """The decision as the API takes it.

        Raises:
            BadInput: nothing is decided, or things that exclude each other.
        """
        actions = {
            "resolve": self.resolve,
            "ignore": self.ignore_until is not None,
            "reopen": self.reopen,
        }
        chosen = [action for action, wanted in actions.items() if wanted]
        if len(chosen) > 1:
            raise BadInput("of --resolve, --ignore-until and --reopen only one can be")
        said: dict[str, Any] = {"action": chosen[0]} if chosen else {}
        if self.ignore_until is not None:
            said["until"] = _end(self.ignore_until)
        if self.note is not None:
            said["note"] = self.note
        if self.owner is not None:
            said["owner"] = self.owner
        if not said:
            raise BadInput("say what: --resolve, --ignore-until, --reopen, --note or --owner")
        return said


def _end(text: str) -> str | None:
    """The moment that is meant, RFC 3339: one, a day (UTC), or so long from now.

    Raises:
        BadInput: it is none.
    """
    duration_ns = parse_duration(text)
    if duration_ns is not None:
        return rfc3339(time.time_ns() + duration_ns)
    try:
        return rfc3339(parse_iso8601(text))
    except ValueError as exc:
        told = f"--ignore-until {text}: give a time (RFC 3339) or a span (3d): {exc}"
        raise BadInput(told) from exc


@command
def triage(
    fingerprint: Annotated[str, typer.Argument(help="The pattern's fingerprint.")],
    deciding: Deciding,
    where: Where,
    as_json: Json = False,
) -> None:
    """Say what was decided of an error pattern, and print the position; a service has to run.

    It is a fact in the log, with the name of the token that said it.

    Examples:

        spanledger errors triage 5f1c0d2a9b3e4f60 --resolve --note "mended in 2.4.1"

        spanledger errors triage 5f1c0d2a9b3e4f60 --ignore-until 2027-01-31 --owner carol
    """
    body = deciding.body()
    key = deciding.key
    headers = {} if key is None else {names.IDEMPOTENCY_HEADER: sendable("--key", key)}
    with open_remote(where, url_of(where)) as remote:
        written = remote.send(path_of("errors", fingerprint, "triage"), body, headers)
    if as_json:
        write_json(written)
    else:
        typer.echo(written["position"])

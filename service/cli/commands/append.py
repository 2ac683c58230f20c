"""`spanledger log append`: a fact, through the API of a running service."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from events import names
from events.errors import BadInput, Unavailable
from service.cli.command import command
from service.cli.options import Json, Where
from service.cli.output.documents import write_json
from service.cli.source.folder import existing_folder
from service.cli.source.remote import sendable
from service.cli.source.source import open_remote
from service.network.endpoints import read_endpoints


@dataclass(frozen=True)
class Saying:
    """What the fact says besides its kind."""

    subject: Annotated[
        list[str],
        typer.Option(
            "--subject",
            "-s",
            metavar="NAME=VALUE",
            help="What it is about: type=…, and what identifies one of it. Repeatable.",
        ),
    ]
    payload: Annotated[
        str, typer.Option("--payload", metavar="JSON", help="The rest; - reads it from stdin.")
    ] = "{}"
    version: Annotated[
        int, typer.Option("--payload-version", min=1, help="Of the payload's shape.")
    ] = 1
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="TIME", help="When it was so: RFC 3339; else now."),
    ] = None
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="Append it once, however often this is run."),
    ] = None


@command
def append(
    kind: Annotated[str, typer.Argument(help="What it says, such as acme.deployed.")],
    saying: Saying,
    where: Where,
    as_json: Json = False,
) -> None:
    """Append a fact that no telemetry tells, and print its position; a service has to run.

    Examples:

        spanledger log append acme.deployed -s type=run -s task_id=build --payload '{"build": 17}'

        spanledger log append acme.reviewed -s type=error -s fingerprint=5e0c… --key review-9
    """
    body = {
        "kind": kind,
        "subject": _subject(saying.subject),
        "payload": _payload(sys.stdin.read() if saying.payload == "-" else saying.payload),
        "version": saying.version,
    }
    if saying.time is not None:
        body["time"] = saying.time
    key = saying.key
    headers = {} if key is None else {names.IDEMPOTENCY_HEADER: sendable("--key", key)}
    with open_remote(where, url_of(where)) as remote:
        written = remote.send("facts", body, headers)
    if as_json:
        write_json(written)
    else:
        typer.echo(written["position"])


def url_of(where: Where) -> str:
    """The service that is asked for, else that of the data folder."""
    if where.url is not None:
        return where.url
    folder = existing_folder(where.data)
    address = (read_endpoints(folder) or {}).get("api")
    if address is None:
        raise Unavailable(f"no service runs on {folder}: start it, or give --url")
    return f"http://{address}"


def _subject(given: Sequence[str]) -> dict[str, str | int]:
    subject: dict[str, str | int] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name in subject:
            raise BadInput(f"--subject {text}: write NAME=VALUE, each name once")
        subject[name] = int(value) if name == "attempt" and value.isdecimal() else value
    return subject


def _payload(text: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except ValueError as exc:
        raise BadInput(f"--payload is no JSON: {exc}") from exc
    if not isinstance(payload, dict):
        raise BadInput('--payload: expected an object, such as {"build": 17}')
    return payload

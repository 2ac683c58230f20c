"""`spanledger token`: who may send, read and administer."""

import sys
from typing import Annotated, Any

import typer

from events.errors import BadInput
from projections.query.table import Column, Kind
from service.access.tokens import SCOPES, Token, TokenStore
from service.cli.command import command
from service.cli.options import Data, Form, Json
from service.cli.output.documents import drawing_of_list, write, write_json
from service.cli.output.render import console
from service.cli.source.folder import data_folder

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke access tokens.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="What to call it, e.g. its holder.")]
COLUMNS = (
    Column("name", "name"),
    Column("scope", "scope"),
    Column("tenant", "tenant"),
    Column("created", "created_ns", Kind.MOMENT),
)


@app.command()
@command
def add(
    name: Name,
    scope: Annotated[
        str,
        typer.Option("--scope", metavar="|".join(SCOPES), help="What it allows; admin allows all."),
    ],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="NAME", help="The only tenant it is for; any if absent."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print the token and nothing else.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it, once: only a digest of it is kept.

    A running service knows it at once.

    Examples:

        spanledger token add collector --scope ingest

        spanledger token add grafana --scope read --tenant team-a
    """
    known = next((each for each in SCOPES if each == scope), None)
    if known is None:
        raise BadInput(f"--scope: expected one of {', '.join(SCOPES)}, not {scope!r}")
    secret = _store(data).add(name, known, tenant)
    if as_json:
        write_json({"name": name, "scope": scope, "tenant": tenant, "token": secret})
        return
    typer.echo(secret)
    if not quiet:
        hint = f"Send it as `authorization: Bearer …`; {name} is not shown again."
        print(hint, file=sys.stderr)


@app.command("list")
@command
def list_tokens(form: Form, data: Data = None) -> None:
    """List the tokens; none of them can be read back.

    Examples:

        spanledger token list --json
    """
    store = _store(data)
    draw = drawing_of_list(COLUMNS, "no tokens: everybody on this machine may do everything")
    write(lambda: {"items": [_document(token) for token in store.list()]}, form, draw)


@app.command()
@command
def revoke(name: Name, data: Data = None, as_json: Json = False) -> None:
    """Forget a token; a running service refuses it at once.

    Examples:

        spanledger token revoke grafana
    """
    store = _store(data)
    store.revoke(name)
    if not store.list():
        typer.echo(
            "That was the last one: a service on this machine's own address is open to everybody "
            "here again, others are closed to all.", err=True,
        )  # fmt: skip
    if as_json:
        write_json({"revoked": name})
    else:
        console().print(f"revoked {name}")


def _store(data: Any) -> TokenStore:
    return TokenStore(data_folder(data) / "tokens.json")


def _document(token: Token) -> dict[str, Any]:
    return {
        "name": token.name, "scope": token.scope, "tenant": token.tenant,
        "created_ns": token.created_ns,
    }  # fmt: skip

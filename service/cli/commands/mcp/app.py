"""`spanledger mcp`: answers for agents over standard input and output; telling clients of it."""

import importlib
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from events.errors import BadInput
from service.cli.command import command
from service.cli.options import Where
from service.cli.source.folder import data_folder, existing_folder
from service.cli.source.source import LocalSource, open_remote
from service.mcp import clients
from service.telemetry.logs import start_logging

app = typer.Typer(help="Answer agents (MCP), and tell their clients of it.")


@app.callback(invoke_without_command=True)
@command
def mcp(context: typer.Context, where: Where) -> None:
    """Answer an agent over standard input and output (Model Context Protocol). Read-only.

    A client starts it; `spanledger mcp install` tells clients how. A service serves the same over
    HTTP at --mcp-port.

    Examples:

        spanledger mcp --data /var/lib/spanledger

        spanledger mcp --url https://spanledger.example:8000
    """
    if context.invoked_subcommand is not None:
        return
    start_logging("mcp", "warning", "text")
    serve = importlib.import_module("service.mcp.stdio").serve
    if where.url is not None:
        with open_remote(where, where.url) as remote:
            serve(remote)
        return
    local = LocalSource(existing_folder(where.data), where.tenant)
    try:
        serve(local)
    finally:
        local.close()


@app.command()
@command
def install(
    where: Where,
    client: Annotated[
        str | None,
        typer.Argument(metavar="CLIENT", help="The client; without one, all are listed."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write its file, and keep what else it says.")
    ] = False,
) -> None:
    """Print what a client's configuration must say, or write it.

    Clients: claude-code, claude-desktop, codex, cursor, gemini, vscode, windsurf. The files of
    claude-code and vscode are the project's: those of this folder. A token is written into files
    of the user alone; into a project's, the name of its variable.

    Examples:

        spanledger mcp install claude-code --write

        spanledger mcp install cursor --url http://127.0.0.1:8000
    """
    known = clients.clients(Path.home())
    if client is None:
        for each in known.values():
            typer.echo(f"{each.name:<15} {each.title}: {each.file}")
        return
    if client not in known:
        raise BadInput(f"no client {client!r}; there are {', '.join(known)}")
    said = clients.entry(known[client], _command(where), where.token)
    if write:
        typer.echo(f"written: {clients.write(known[client], said, Path.cwd())}")
        return
    print(f"In {known[client].file}:", file=sys.stderr)
    typer.echo(clients.text_of(known[client], said), nl=False)


def _command(where: Where) -> list[str]:
    """The command that a client starts; its folders are whole, because it starts elsewhere."""
    found = shutil.which("spanledger", path=str(Path(sys.executable).parent))
    start = [found] if found else [sys.executable, "-P", "-m", "service.cli.main"]
    source = ["--url", where.url] if where.url else ["--data", str(data_folder(where.data))]
    files = {"ca-file": where.ca_file, "cert-file": where.cert_file, "key-file": where.key_file}
    for name, file in files.items():
        if file is not None:
            source += [f"--{name}", str(file.absolute())]
    if where.tenant:
        source += ["--tenant", where.tenant]
    return [*start, "mcp", *source]

"""`spanledger demo`: the product with real data flowing through, in one command."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.demo.run import run_demo

app = typer.Typer()


@app.command()
def demo(
    data: Annotated[
        Path, typer.Option(help="Where the demo keeps its log and views.", envvar=None)
    ] = Path("data/demo"),
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the first rounds instead of serving on.")
    ] = False,
) -> None:
    """Serve on this machine, run a small orchestrator against it, and show what happens."""
    run_demo(data, keep=not once, console=Console())

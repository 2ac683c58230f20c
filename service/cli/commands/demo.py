"""`spanledger demo`: the product with real data flowing through, in one command."""

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
import typer
from rich.console import Console

from service.cli.command import command
from service.demo.run import run_demo

app = typer.Typer()


@app.command()
@command
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the demo's log and views. \\[default: spanledger-demo in the user's "
            "data folder]"
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the first rounds instead of going on.")
    ] = False,
    orchestrator: Annotated[
        Literal["celery"] | None,
        typer.Option(
            "--with",
            metavar="ORCHESTRATOR",
            help="Unmodified Celery tasks in real workers, in place of the small orchestrator; "
            "needs the extra celery-demo.",
        ),
    ] = None,
) -> None:
    """Serve on this machine, run a small orchestrator against it, and show what happens.

    Runs again on what is there. Ctrl-C stops it.
    """
    folder = data or Path(platformdirs.user_data_dir("spanledger-demo"))
    console = Console(highlight=False)
    run_demo(folder, keep=not once, console=console, with_celery=orchestrator == "celery")

"""What the shell offers after Tab: statuses, and names that the views file knows.

Completion must never fail or be slow: whatever is not there is simply not offered.
"""

import sqlite3
from contextlib import closing

import typer

from service.cli.output.render import STATUSES
from service.cli.source.folder import data_folder


def complete_status(incomplete: str) -> list[str]:
    """Status words."""
    return [status for status in STATUSES if status.startswith(incomplete)]


def complete_projection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of projections, from the checkpoints."""
    taken = ctx.params.get("names") or ()
    names = _names(ctx, "views.db", "SELECT DISTINCT projection FROM checkpoint ORDER BY 1")
    return [name for name in names if name.startswith(incomplete) and name not in taken]


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of forward targets."""
    names = _names(ctx, "forward.db", "SELECT name FROM target ORDER BY 1")
    return [name for name in names if name.startswith(incomplete)]


def complete_view(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of views of the past, from the files of the data folder."""
    files = data_folder(ctx.params.get("data")).glob("views-asof-*.db")
    names = [file.stem.removeprefix("views-asof-") for file in files]
    return sorted(name for name in names if name.startswith(incomplete))


def _names(ctx: typer.Context, file: str, query: str) -> list[str]:
    path = data_folder(ctx.params.get("data")) / file
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.2)) as found:
            return [name for (name,) in found.execute(query)]
    except (OSError, ValueError, sqlite3.Error):
        return []

"""What the shell offers after Tab: statuses, and names that the views file knows.

Completion must never fail or be slow: whatever is not there is simply not offered.
"""

import sqlite3
from pathlib import Path

import typer

from service.cli.folder import data_folder
from service.cli.render import STATUSES


def complete_status(incomplete: str) -> list[str]:
    """Status words."""
    return [status for status in STATUSES if status.startswith(incomplete)]


def complete_projection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of projections, from the checkpoints."""
    folder = data_folder(ctx.params.get("data"))
    try:
        names = _projections(folder)
    except (OSError, sqlite3.Error):
        return []
    taken = ctx.params.get("names") or ()
    return [name for name in names if name.startswith(incomplete) and name not in taken]


def complete_view(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of views of the past, from the files of the data folder."""
    files = data_folder(ctx.params.get("data")).glob("views-asof-*.db")
    names = [file.stem.removeprefix("views-asof-") for file in files]
    return sorted(name for name in names if name.startswith(incomplete))


def _projections(folder: Path) -> list[str]:
    connection = sqlite3.connect(f"{(folder / 'views.db').as_uri()}?mode=ro", uri=True, timeout=0.2)
    try:
        rows = connection.execute("SELECT DISTINCT projection FROM checkpoint ORDER BY projection")
        return [name for (name,) in rows]
    finally:
        connection.close()

"""Groups in a file of their own: where it lies, and how a reader sees it as a part of the views.

A generation `views-7.db` may have files beside it, one for each group that runs in a process of
its own: `views-7-task_metrics.db`. They come and go with the generation, hold the group's tables
and what every views file holds of them, and are written by that process alone. Which groups have
one does not change while a generation lives.
"""

import re
import sqlite3
from pathlib import Path
from typing import Final

_GENERATION: Final = re.compile(r"views-\d+\.db")
_VIEW: Final = re.compile(r"CREATE VIEW", re.IGNORECASE)
_SHARED_TABLES: Final = ("checkpoint", "dead_letter", "projection_state", "configuration")
LETTERS: Final = 1_000_000_000
"""Dead letters of the first file beside a generation have ids from here on, those of the second
from twice as many, and so on; in the file itself they count from 1."""


def path_of(views: Path, name: str) -> Path:
    """The file of a group beside the generation at `views`."""
    return views.with_name(f"{views.stem}-{name}{views.suffix}")


def files(views: Path) -> dict[str, Path]:
    """The files beside a generation by the name of their group, in order of name; `views` may be
    a link to it."""
    views = views.resolve()
    if not _GENERATION.fullmatch(views.name):
        return {}
    found = views.parent.glob(f"{views.stem}-*{views.suffix}")
    return {path.stem[len(views.stem) + 1 :]: path for path in sorted(found)}


def attach(connection: sqlite3.Connection, views: Path) -> None:
    """Let a connection that reads a generation see the files beside it as well.

    Tables keep their names; the tables that each file has for itself are shown as one, and so
    are the SQL views, which see no other file by themselves.
    """
    beside = files(views)
    if not beside:
        return
    schemas = ["main"]
    for name, path in beside.items():
        schemas.append(f"apart_{name}")
        connection.execute(f'ATTACH ? AS "{schemas[-1]}"', (read_only(path),))
    for table in _SHARED_TABLES:
        _show_as_one(connection, table, schemas)
    statements = connection.execute("SELECT sql FROM main.sqlite_master WHERE type = 'view'")
    for (statement,) in statements.fetchall():
        connection.execute(_VIEW.sub("CREATE TEMP VIEW", statement, count=1))


def _show_as_one(connection: sqlite3.Connection, table: str, schemas: list[str]) -> None:
    columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
    parts = [
        f"SELECT {', '.join(f'id + {place * LETTERS} AS id' if c == 'id' else c for c in columns)}"
        f' FROM "{schema}".{table}'
        for place, schema in enumerate(schemas)
    ]
    connection.execute(f"CREATE TEMP VIEW {table} AS {' UNION ALL '.join(parts)}")


def read_only(path: Path) -> str:
    """How SQLite is told to open a file that this process only reads."""
    return f"{path.absolute().as_uri()}?mode=ro"


def holder_of(views: Path, letter_id: int) -> tuple[str | None, int]:
    """Which group's file a dead letter lies in (None: the generation's own), and its id there."""
    place, own = divmod(letter_id, LETTERS)
    names = [None, *files(views)]
    return (names[place], own) if 0 <= place < len(names) else (None, letter_id)

"""Moving a projection's tables, and what a views file holds of it, from one file to another."""

import sqlite3
from contextlib import closing
from typing import Final

from projections.engine.port import Projection

_NOTES: Final = ("checkpoint", "dead_letter", "configuration")


def take_over(target: sqlite3.Connection, projection: Projection, source: str) -> None:
    """Put the tables of the attached file `source` in the place of the target's own."""
    drop(target, projection, "main")
    projection.create(target)
    for table in projection.tables:
        target.execute(f'INSERT INTO main."{table}" SELECT * FROM "{source}"."{table}"')
    projection.index(target)
    for table in _NOTES:
        columns = [
            row[1] for row in target.execute(f"PRAGMA main.table_info({table})") if row[1] != "id"
        ]
        listed = ", ".join(columns)
        target.execute(
            f'INSERT INTO main.{table} ({listed}) SELECT {listed} FROM "{source}".{table} '
            "WHERE projection = ?",
            (projection.name,),
        )


def drop(connection: sqlite3.Connection, projection: Projection, schema: str) -> None:
    """Delete a projection's tables, and all that the file holds of it."""
    for kind, name in _objects(projection):
        connection.execute(f'DROP {kind} IF EXISTS "{schema}"."{name}"')
    for table in _NOTES:
        connection.execute(
            f'DELETE FROM "{schema}".{table} WHERE projection = ?', (projection.name,)
        )


def _objects(projection: Projection) -> list[tuple[str, str]]:
    """Kind and name of what a projection creates, indexes and views first."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        projection.create(connection)
        projection.index(connection)
        return connection.execute(
            "SELECT upper(type), name FROM sqlite_master "
            "WHERE sql IS NOT NULL ORDER BY type = 'table'"
        ).fetchall()

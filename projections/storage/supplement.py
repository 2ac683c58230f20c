"""What stands in for the tables and columns that views of another release lack.

Until such views are made anew, the questions of this release are answered from their rows: what a
row lacks is null. A column that may not be null is as its declared default says; without one
nothing can stand in for it.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple


class Supplement(NamedTuple):
    """What a views file lacks.

    `statements` make temporary views that hide its tables; `null` names the columns that are null
    in all of their rows, by projection; `absent` the projections that have no tables.
    """

    statements: Sequence[str]
    null: dict[str, list[str]]
    absent: frozenset[str]

    def put_up(self, connection: sqlite3.Connection) -> None:
        """Let a connection see the file with all that this release asks for."""
        for statement in self.statements:
            connection.execute(statement)

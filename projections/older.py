"""What views that another release made lack of what this one asks for."""

import sqlite3
from contextlib import closing
from functools import cache
from typing import Final, NamedTuple

from projections.assembly import make_folds
from projections.engine.versions import SHARED, projections_of
from projections.storage.supplement import Supplement
from projections.views.store import Store

_TABLES: Final = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
    " AND name NOT LIKE 'sqlite_%'"
)
_COLUMNS: Final = 'SELECT name, "notnull", dflt_value, pk FROM pragma_table_info(?)'
_HOME: Final = "SELECT schema FROM pragma_table_list WHERE name = ? AND schema <> 'temp'"
_VIEWS: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'view'"


class _Column(NamedTuple):
    """A column as this release declares it."""

    name: str
    is_required: int
    default: str | None
    in_key: int

    @property
    def is_nullable(self) -> bool:
        return not (self.is_required or self.in_key)


class _Wanted(NamedTuple):
    """The tables and SQL views of this release, and which projection each table belongs to."""

    tables: dict[str, list[_Column]]
    views: dict[str, str]
    owners: dict[str, str]
    split: frozenset[str]


def supplement_of(connection: sqlite3.Connection) -> Supplement:
    """What a connection to a views file lacks, and what can stand in for it.

    A table of the shared stage that is not there, or a column that must have a value, can't be
    stood in for: questions that need it go on failing.
    """
    wanted = _wanted()
    statements: list[str] = []
    null: dict[str, list[str]] = {}
    absent: set[str] = set()
    for table, columns in wanted.tables.items():
        owner = wanted.owners[table]
        held = {row[0] for row in connection.execute(_COLUMNS, (table,))}
        missing = [column for column in columns if column.name not in held]
        if not held and owner != SHARED:
            if table not in wanted.split:
                absent.add(owner)
            nothing = ", ".join(f'NULL AS "{column.name}"' for column in columns)
            statements.append(f'CREATE TEMP VIEW "{table}" AS SELECT {nothing} WHERE 0')
        elif missing and all(c.is_nullable or c.default is not None for c in missing):
            (home,) = connection.execute(_HOME, (table,)).fetchone()
            more = ", ".join(f'{c.default or "NULL"} AS "{c.name}"' for c in missing)
            statements.append(
                f'CREATE TEMP VIEW "{table}" AS SELECT *, {more} FROM "{home}"."{table}"'
            )
            null.setdefault(owner, []).extend(c.name for c in missing if c.default is None)
    for name, sql in wanted.views.items():
        statements.append(f'DROP VIEW IF EXISTS temp."{name}"')
        statements.append(sql.replace("CREATE VIEW", "CREATE TEMP VIEW", 1))
    return Supplement(statements, null, frozenset(absent))


@cache
def _wanted() -> _Wanted:
    folds = make_folds()
    made_by = projections_of(folds)
    owners = {table: p.name for p in made_by for table in p.tables}
    split = {table for p in made_by if isinstance(p, Store) for table in p.split}
    with closing(sqlite3.connect(":memory:")) as made:
        for fold in folds:
            fold.create(made)
        names = [name for (name,) in made.execute(_TABLES) if name in owners]
        tables = {
            name: [_Column._make(row) for row in made.execute(_COLUMNS, (name,))] for name in names
        }
        return _Wanted(tables, dict(made.execute(_VIEWS).fetchall()), owners, frozenset(split))

"""A small real fold: counts events by tag, and lists the span names of each tenant.

It is a second implementation of the fold's port, so that the daemon is tested against two.
"""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from events import names
from events.log.port import Page, Recorded
from events.schema import Span
from projections.engine.port import Fold, Projection
from projections.storage.deadletters import Poison

POISON = "poison"


class _Table:
    """One table, created by one statement; `apply` adds an event."""

    def __init__(self, name: str, version: int, ddl: str, add: "Callable[..., None]") -> None:
        self.name = name
        self.version = version
        self.tables: Sequence[str] = (f"toy_{name}",)
        self.configuration: Mapping[str, Any] = {}
        self.depends: Sequence[str] = ()
        self._ddl = ddl
        self.add = add

    def create(self, connection: sqlite3.Connection) -> None:
        connection.execute(self._ddl)

    def index(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"CREATE INDEX toy_{self.name}_tenant ON toy_{self.name} (tenant)")


class ToyFold:
    """A fold of one projection."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self.projections: Sequence[Projection] = (table,)

    def create(self, connection: sqlite3.Connection) -> None:
        self._table.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        self._table.index(connection)

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        for recorded in page.decoded():
            self._table.add(connection, recorded)

    def forget(self) -> None:
        """Nothing is cached."""


def _count(connection: sqlite3.Connection, recorded: Recorded) -> None:
    tag = names.SPAN if isinstance(recorded.event, Span) else names.LOG_RECORD
    connection.execute(
        "INSERT INTO toy_counts VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET events = events + 1",
        (recorded.tenant, tag),
    )


def _name(connection: sqlite3.Connection, recorded: Recorded) -> None:
    if not isinstance(recorded.event, Span):
        return
    connection.execute(
        "INSERT INTO toy_names VALUES (?, ?, ?, ?)",
        (recorded.partition, recorded.position, recorded.tenant, recorded.event.name),
    )
    if recorded.event.name == POISON:
        raise ValueError("this name is poison")
    if recorded.event.name == "named poison":
        raise Poison(recorded.position, "names", KeyError("named"))


COUNTS = (
    "CREATE TABLE toy_counts (tenant TEXT, tag TEXT, events INTEGER, PRIMARY KEY (tenant, tag))"
)
NAMES = (
    "CREATE TABLE toy_names (partition INTEGER, position INTEGER, tenant TEXT, name TEXT,"
    " PRIMARY KEY (partition, position))"
)


def make_toys(versions: tuple[int, int] = (1, 1), cured: bool = False) -> "MakeToys":
    """A maker of two folds, `counts` and `names`; `cured`: poison is none."""
    return MakeToys(versions, cured)


class MakeToys:
    """`projections.engine.versions.MakeFolds` of the toys."""

    def __init__(self, versions: tuple[int, int], cured: bool) -> None:
        self._versions = versions
        self._cured = cured

    def __call__(
        self,
        chosen: Collection[str] | None = None,
        configured: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Sequence[Fold]:
        add_name = _cured_name if self._cured else _name
        tables = (
            _Table("counts", self._versions[0], COUNTS, _count),
            _Table("names", self._versions[1], NAMES, add_name),
        )
        return [ToyFold(table) for table in tables if chosen is None or table.name in chosen]


def _cured_name(connection: sqlite3.Connection, recorded: Recorded) -> None:
    if isinstance(recorded.event, Span):
        connection.execute(
            "INSERT INTO toy_names VALUES (?, ?, ?, ?)",
            (recorded.partition, recorded.position, recorded.tenant, recorded.event.name),
        )


def rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    """Every row of a table, ordered."""
    return sorted(connection.execute(f"SELECT * FROM {table}").fetchall(), key=repr)

"""What the daemon asks of the folds, and what a fold may touch.

The daemon owns files, transactions, checkpoints, generations and dead letters; a fold only reads
and writes its tables through the connection that it is given, inside the daemon's transaction.
It is a pure function of (tables, page): no clock, no network, no commit.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from events.log.port import Page


class Poison(Exception):
    """One event cannot be applied; raised by a fold that knows which."""

    def __init__(self, position: int, projection: str, error: Exception) -> None:
        super().__init__(f"event at position {position} cannot be applied to {projection}: {error}")
        self.position = position
        self.projection = projection
        self.error = error


class Projection(Protocol):
    """One named, versioned fold with tables of its own."""

    name: str
    version: int
    tables: Sequence[str]

    def create(self, connection: sqlite3.Connection) -> None:
        """Create the tables (STRICT), without their secondary indexes."""
        ...

    def index(self, connection: sqlite3.Connection) -> None:
        """Create the secondary indexes; called last in a rebuild, at once otherwise."""
        ...


class Sources(Protocol):
    """Tells where attempts ran."""

    def source_parts(self, source_no: int) -> tuple[int | None, str | None]:
        """The executor's number and the component of a source."""
        ...


class Fold(Protocol):
    """All projections of a set of names, applied together page by page.

    `projections.fold.make_fold(targets)` builds one: the shared stage that turns events into
    facts by run and derives the runs that changed, and behind it the projections named in
    `targets` (None: all). Unselected projections are neither read nor written.
    """

    projections: Sequence[Projection]

    def create(self, connection: sqlite3.Connection) -> None: ...

    def index(self, connection: sqlite3.Connection) -> None: ...

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """Apply one page. May raise anything on a poison event; the daemon rolls back to a
        savepoint and applies event by event (`page.only`) to park the one that fails."""
        ...

    def forget(self) -> None:
        """Drop whatever is cached from the tables; called after a rollback."""
        ...


@runtime_checkable
class Divisible(Fold, Protocol):
    """A fold of which a second process can write a part; see `projections.engine.side`."""

    def put_aside(self, send: Callable[[Any], None]) -> None:
        """Hand the changes on through `send` instead of writing some projections' tables."""
        ...

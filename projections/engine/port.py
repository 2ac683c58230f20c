"""What the daemon asks of the folds, and what a fold may touch.

The daemon owns files, transactions, checkpoints, generations and dead letters; a fold only reads
and writes its tables through the connection that it is given, inside the daemon's transaction.
It is a pure function of (tables, page): no clock, no network, no commit.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from events.log.port import Page
from projections.runs.changes import Changes


class Projection(Protocol):
    """Tables of one name, and the rules that fill them.

    Name, `version` (of the code) and `configuration` (of values that JSON has) say what the rows
    mean: if one of them changes, the tables are made anew from the log. `depends` names the
    projections whose tables it goes by, which are made anew before it.
    """

    name: str
    version: int
    tables: Sequence[str]
    configuration: Mapping[str, Any]
    depends: Sequence[str]

    def create(self, connection: sqlite3.Connection) -> None:
        """Create the tables (STRICT), without their secondary indexes."""
        ...

    def index(self, connection: sqlite3.Connection) -> None:
        """Create the secondary indexes; called last in a rebuild, at once otherwise."""
        ...


class Fold(Protocol):
    """Projections that read the log in pages, side by side with other folds or behind them.

    The first of its projections is the one that a page concerns: dead letters of events carry its
    name, unless a `Poison` blames another.
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


class Group(Protocol):
    """What is told by changes of runs: it never sees the log, and stands or falls by itself."""

    name: str

    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """Write the difference between each run before and after, or keep it until `flush`.

        The shared stage's tables, if it reads them, may be ahead of the changes."""
        ...

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was kept; called at the end of each page."""
        ...

    def forget(self) -> None:
        """Drop what was kept and cached; called after a rollback."""
        ...


@runtime_checkable
class Staged(Fold, Protocol):
    """A fold whose first projection is a shared stage: it makes changes, and groups apply them.

    `groups` are those that apply them here; a second process may write the others
    (`projections.engine.side`), which then follow the stage.
    """

    groups: Sequence[Group]

    def attach(self, connection: sqlite3.Connection) -> None:
        """Look up in this file what groups ask of the stage, also before the first page."""
        ...

    def changes(self, connection: sqlite3.Connection, page: Page) -> Iterator[Changes]:
        """Apply one page to the stage's tables; what it changes, part by part."""
        ...

    def put_aside(self, send: Callable[[Any], None]) -> None:
        """Hand the changes on through `send` instead of letting some groups apply them."""
        ...

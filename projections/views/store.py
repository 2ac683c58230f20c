"""What every projection's store has: a name, a version, tables from .sql files, and `update`."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import resources
from types import MappingProxyType
from typing import Any

from projections.runs.changes import Changes
from projections.runs.scopes import Sources
from projections.storage.statements import run_script


class Store(ABC):
    """The tables of one projection; its schema.sql lies in the folder of its name, and index.sql
    if there are secondary indexes.

    Args:
        sources: tells where attempts ran (`Sources`), to those that ask.
    """

    name: str
    version: int = 1
    tables: Sequence[str]
    split: Sequence[str] = ()
    """Tables of which an older release has the rows in another one: they are empty there."""
    configuration: Mapping[str, Any] = MappingProxyType({})
    depends: Sequence[str] = ("facts",)
    stands_alone: bool = True
    """Does it need nothing but the changes and where attempts ran?"""

    def __init__(self, sources: Sources) -> None:  # noqa: B027 most do not ask
        pass

    def create(self, connection: sqlite3.Connection) -> None:
        """Create the tables, without secondary indexes."""
        run_script(connection, f"projections.views.{self.name}", "schema.sql")

    def index(self, connection: sqlite3.Connection) -> None:
        """Create the secondary indexes."""
        package = f"projections.views.{self.name}"
        if resources.files(package).joinpath("index.sql").is_file():
            run_script(connection, package, "index.sql")

    @abstractmethod
    def update(self, connection: sqlite3.Connection, changes: Changes) -> None:
        """Take the difference between each run before and after a part of a page, and write it
        now or keep it until `flush`."""

    def flush(self, connection: sqlite3.Connection) -> None:  # noqa: B027 most keep nothing
        """Write what was kept; called at the end of each page."""

    def forget(self) -> None:  # noqa: B027 most keep nothing
        """Drop what was kept; called after a rollback."""

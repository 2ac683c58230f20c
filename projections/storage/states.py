"""What projections do that do not simply follow the log, on record for who reads the views."""

import sqlite3
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from events.log.sqlite import load_queries

_sql = load_queries("projections.storage", "states.sql")

CATCHING_UP_EVENTS: Final = 50_000
"""A projection that is so far behind the log is said to catch up."""

Exceptional = Literal["behind", "paused", "rebuilding", "stopped"]


class Note(NamedTuple):
    """A projection's state, since when (ns), and the reason of a pause."""

    projection: str
    state: Exceptional
    since_ns: int
    reason: str | None


def load(connection: sqlite3.Connection) -> dict[str, Note]:
    """The notes of a file, by projection."""
    return {row[0]: Note(*row) for row in connection.execute(_sql["load"])}


def replace(connection: sqlite3.Connection, notes: Iterable[Note]) -> None:
    """Put these notes in the place of all others."""
    connection.execute(_sql["clear"])
    connection.executemany(_sql["note"], [note._asdict() for note in notes])

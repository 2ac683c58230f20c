"""Dead letters: events that a projection could not apply, parked with the error.

A projection goes on without a parked event. `requeue` applies it again, after the code or the
data it stumbled on was changed; `discard` keeps it out for good, on record. Events stay in the
log either way.
"""

import sqlite3
from typing import Final, Literal, NamedTuple

from events.errors import BadInput
from events.log.sqlite import load_queries

WINDOW_EVENTS: Final = 10_000
WINDOW_LIMIT: Final = WINDOW_EVENTS // 100
_ERROR_CHARACTERS: Final = 2_000

_sql = load_queries("projections.storage", "deadletters.sql")

State = Literal["parked", "discarded"]


class DeadLetter(NamedTuple):
    """One event that one projection goes without."""

    id: int
    projection: str
    partition: int
    position: int
    event_id: bytes
    error: str
    parked_ns: int
    state: State

    @property
    def key(self) -> tuple[str, int, int]:
        return self.projection, self.partition, self.position


def park(
    connection: sqlite3.Connection,
    key: tuple[str, int, int],
    *,
    event_id: bytes,
    error: Exception,
    now_ns: int,
) -> None:
    """Park an event, or renew the error of one that is parked."""
    projection, partition, position = key
    text = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
    connection.execute(
        _sql["park"],
        {
            "projection": projection,
            "partition": partition,
            "position": position,
            "event_id": event_id,
            "error": text.encode("utf-8", "replace").decode(),
            "parked_ns": now_ns,
        },
    )


def listing(
    connection: sqlite3.Connection, *, projection: str | None = None, id: int | None = None
) -> list[DeadLetter]:
    """Dead letters, oldest first."""
    values = {"projection": projection, "id": id}
    return [DeadLetter(*row) for row in connection.execute(_sql["list"], values)]


def get(connection: sqlite3.Connection, id: int) -> DeadLetter:
    """One dead letter.

    Raises:
        BadInput: there is none with this id.
    """
    found = listing(connection, id=id)
    if not found:
        raise BadInput(f"no dead letter has the id {id}; `spanledger deadletters list` shows them")
    return found[0]


def too_many(connection: sqlite3.Connection, partition: int, position: int, since: int) -> bool:
    """Were more than 1 % of the last 10,000 events parked, not counting ids up to `since`?"""
    values = {"partition": partition, "position": position - WINDOW_EVENTS, "since": since}
    count: int = connection.execute(_sql["recent"], values).fetchone()[0]
    return count > WINDOW_LIMIT


def last_id(connection: sqlite3.Connection) -> int:
    """The newest id; 0 if there is none."""
    newest: int = connection.execute(_sql["last_id"]).fetchone()[0]
    return newest


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many events are parked, by projection."""
    return dict(connection.execute(_sql["counts"]).fetchall())


def discard(connection: sqlite3.Connection, key: tuple[str, int, int]) -> None:
    """Keep an event out of a projection for good."""
    projection, partition, position = key
    values = {"projection": projection, "partition": partition, "position": position}
    connection.execute(_sql["discard"], values)


def remove(connection: sqlite3.Connection, id: int) -> None:
    """Forget a dead letter: its event was applied."""
    connection.execute(_sql["remove"], {"id": id})

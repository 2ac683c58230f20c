"""Dead letters: what a projection could not apply, parked with the error.

A projection goes on without a parked event, or without the changes of a parked run: those are
held, from what the projection has of the run to what it should have, and a later change of the
run is put behind them. `requeue` applies it again, after the code or the data it stumbled on was
changed; `discard` gives it up, on record. Events stay in the log either way.
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


class Poison(Exception):
    """One event cannot be applied; raised by a fold that knows which."""

    def __init__(self, position: int, projection: str, error: Exception) -> None:
        super().__init__(f"event at position {position} cannot be applied to {projection}: {error}")
        self.position = position
        self.projection = projection
        self.error = error


Key = tuple[str, int, int, int]
"""Projection, partition, position, number of the run (0: the event at this position)."""


class DeadLetter(NamedTuple):
    """One event, or one run's changes (`run_no` is not 0), that one projection goes without."""

    id: int
    projection: str
    partition: int
    position: int
    event_id: bytes
    error: str
    parked_ns: int
    state: State
    run_no: int

    @property
    def key(self) -> Key:
        return self.projection, self.partition, self.position, self.run_no


class Held(NamedTuple):
    """The letter of a run: its id, and the serialised change that waits in it."""

    id: int
    run_no: int
    change: bytes


def park(
    connection: sqlite3.Connection,
    key: Key,
    *,
    event_id: bytes,
    error: Exception,
    now_ns: int,
) -> None:
    """Park an event, or renew the error of one that is parked."""
    projection, partition, position, _ = key
    connection.execute(
        _sql["park"],
        {
            "projection": projection,
            "partition": partition,
            "position": position,
            "event_id": event_id,
            "error": _text_of(error),
            "parked_ns": now_ns,
        },
    )


def hold(
    connection: sqlite3.Connection,
    key: Key,
    change: bytes | None,
    *,
    error: Exception,
    now_ns: int,
    state: State = "parked",
    id: int | None = None,
) -> int:
    """Park a run's change, or renew the letter `id`; returns the letter's id."""
    projection, partition, position, run_no = key
    done = connection.execute(
        _sql["hold" if id is None else "hold_again"],
        {
            "projection": projection,
            "partition": partition,
            "position": position,
            "run_no": run_no,
            "change": change,
            "error": _text_of(error),
            "parked_ns": now_ns,
            "state": state,
            "id": id,
        },
    )
    return id if id is not None else done.lastrowid or 0


def held(connection: sqlite3.Connection, projection: str) -> list[Held]:
    """Every change that waits for a projection."""
    return [Held(*row) for row in connection.execute(_sql["held"], {"projection": projection})]


def _text_of(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
    return text.encode("utf-8", "replace").decode()


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


def too_many(
    connection: sqlite3.Connection, projection: str, partition: int, position: int, since: int
) -> bool:
    """Has a projection more letters than 1 % of the last 10,000 events, after the id `since`?"""
    values = {
        "projection": projection,
        "partition": partition,
        "position": position - WINDOW_EVENTS,
        "since": since,
    }
    count: int = connection.execute(_sql["recent"], values).fetchone()[0]
    return count > WINDOW_LIMIT


def last_id(connection: sqlite3.Connection) -> int:
    """The newest id; 0 if there is none."""
    newest: int = connection.execute(_sql["last_id"]).fetchone()[0]
    return newest


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """How many events and runs are parked, by projection."""
    return dict(connection.execute(_sql["counts"]).fetchall())


def discard(connection: sqlite3.Connection, key: Key) -> None:
    """Give up what a projection could not apply."""
    projection, partition, position, run_no = key
    values = {
        "projection": projection,
        "partition": partition,
        "position": position,
        "run_no": run_no,
    }
    connection.execute(_sql["discard"], values)


def remove(connection: sqlite3.Connection, id: int) -> None:
    """Forget a dead letter: what it held was applied."""
    connection.execute(_sql["remove"], {"id": id})

"""What becomes of an event, or of a run's changes, that cannot be applied."""

import sqlite3
from collections.abc import Collection, Mapping
from typing import Protocol

from events.errors import Damaged, SpanledgerError, Unavailable
from projections.storage import deadletters
from projections.storage.deadletters import DeadLetter, Key, State


class TooManyParked(Exception):
    """More than 1 % of the last 10,000 events could not be applied; `position` is the last."""

    def __init__(self, projection: str, position: int) -> None:
        super().__init__(
            f"more than 1 % of the last 10,000 events up to {position} were parked: {projection} "
            "cannot apply them"
        )
        self.projection = projection
        self.position = position


class RebuildStopped(SpanledgerError):
    """A rebuild met what it cannot apply, and what is not known to be a dead letter."""

    def __init__(self, key: Key, error: Exception) -> None:
        projection, _, position, run_no = key
        what = f"the changes of run {run_no}" if run_no else "it"
        option = f"--run {run_no}" if run_no else f"--position {position}"
        super().__init__(
            f"the rebuild stopped at position {position}: {projection} cannot apply {what}: "
            f"{type(error).__name__}: {error}. Repair the projection, or let rebuilds leave it "
            f"out: `spanledger deadletters discard --projection {projection} {option}`"
        )
        self.projection = projection
        self.position = position
        self.run_no = run_no


class Parking(Protocol):
    """Decides what becomes of what cannot be applied.

    `lets_lag`: a group that takes too long may be left behind, to catch up.
    """

    lets_lag: bool

    def state(self, connection: sqlite3.Connection, key: Key, error: Exception) -> State:
        """The state to record it with, or raise to stop."""
        ...

    def is_broken(
        self, connection: sqlite3.Connection, projection: str, partition: int, position: int
    ) -> bool:
        """Did so much of this projection fail that it should not go on by itself?"""
        ...


class ParkAll:
    """Park whatever fails; used where the rate was looked at already."""

    lets_lag = False

    def state(self, connection: sqlite3.Connection, key: Key, error: Exception) -> State:
        return "parked"

    def is_broken(
        self, connection: sqlite3.Connection, projection: str, partition: int, position: int
    ) -> bool:
        return False


class ParkUpToRate:
    """Live folding: park, until more than 1 % of the last 10,000 events were parked.

    Letters of a projection up to the id in `since` do not count.
    """

    lets_lag = True

    def __init__(self, since: Mapping[str, int]) -> None:
        self._since = since

    def state(self, connection: sqlite3.Connection, key: Key, error: Exception) -> State:
        projection, partition, position, run_no = key
        if not run_no and self.is_broken(connection, projection, partition, position):
            raise TooManyParked(projection, position)
        return "parked"

    def is_broken(
        self, connection: sqlite3.Connection, projection: str, partition: int, position: int
    ) -> bool:
        since = self._since.get(projection, 0)
        return deadletters.too_many(connection, projection, partition, position, since)


class ParkKnown:
    """Rebuilding: only what is a dead letter already may fail.

    Events are known by their position, changes by their run.
    """

    lets_lag = False

    def __init__(self, known: Collection[DeadLetter]) -> None:
        self._states = {_known_by(letter.key): letter.state for letter in known}

    def state(self, connection: sqlite3.Connection, key: Key, error: Exception) -> State:
        if _known_by(key) not in self._states:
            raise RebuildStopped(key, error) from error
        return self._states[_known_by(key)]

    def is_broken(
        self, connection: sqlite3.Connection, projection: str, partition: int, position: int
    ) -> bool:
        return False


def _known_by(key: Key) -> Key:
    projection, partition, position, run_no = key
    return (projection, 0, 0, run_no) if run_no else (projection, partition, position, 0)


def is_not_the_event(error: Exception) -> bool:
    """Is it the disk, the file, the log or the machine that failed, and not what was applied?"""
    if isinstance(error, sqlite3.OperationalError):  # a statement that is wrong is the code's fault
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return code != sqlite3.SQLITE_ERROR
    if type(error) is sqlite3.DatabaseError:  # its subclasses tell of values and statements
        return True
    others = (sqlite3.InternalError, MemoryError, OSError, Damaged, Unavailable)
    return isinstance(error, (*others, TooManyParked, RebuildStopped))

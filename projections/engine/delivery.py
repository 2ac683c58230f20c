"""Handing changes to one group, so that what it cannot apply is parked under its own name.

A change that fails alone is held in a dead letter: from what the group has of the run to what it
should have. A later change of that run is put behind the held one and both are tried as one; when
that works, the letter is settled. So whatever comes, a group's rows are those of every run but the
held ones, and those stand as they stood.
"""

import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable

from projections.engine.parking import Parking, is_not_the_event
from projections.engine.port import Group
from projections.runs.changes import (
    Change,
    Changes,
    apart,
    decode_change,
    encode_change,
    merged,
)
from projections.storage import deadletters
from projections.storage.deadletters import DeadLetter, Held


class GroupFailed(Exception):
    """A group could not apply the changes of a page; which of them is not known yet."""

    def __init__(self, group: Group, error: Exception) -> None:
        super().__init__(f"{group.name}: {error}")
        self.group = group


class Delivery:
    """The way to one group of one views file; works in the caller's transaction."""

    def __init__(
        self, group: Group, connection: sqlite3.Connection, clock: Callable[[], int]
    ) -> None:
        self.group = group
        self._connection = connection
        self._clock = clock
        self._held: dict[int, Held] | None = None
        self.spent_s = 0.0
        """Time in the group since the caller set this to 0."""

    @property
    def held(self) -> dict[int, Held]:
        """The runs that wait in dead letters, by number."""
        if self._held is None:
            found = deadletters.held(self._connection, self.group.name)
            self._held = {letter.run_no: letter for letter in found}
        return self._held

    def forget(self) -> None:
        """Read again what is held; called after a rollback, beside the fold's `forget`."""
        self._held = None

    def quickly(self, changes: Changes) -> None:
        """Let the group take changes among whom none is held.

        Raises:
            GroupFailed: it cannot; the caller takes everything of the page back.
        """
        started_s = time.perf_counter()
        try:
            self.group.update(self._connection, changes)
        except Exception as exc:
            raise self._failure(exc) from exc
        self.spent_s += time.perf_counter() - started_s

    def flush(self) -> None:
        """End a page that was taken `quickly`; raises as that does."""
        started_s = time.perf_counter()
        try:
            self.group.flush(self._connection)
        except Exception as exc:
            raise self._failure(exc) from exc
        self.spent_s += time.perf_counter() - started_s

    def _failure(self, error: Exception) -> Exception:
        return error if is_not_the_event(error) else GroupFailed(self.group, error)

    def carefully(
        self, parts: Iterable[Iterable[Change]], place: tuple[int, int], parking: Parking
    ) -> None:
        """Apply changes in order; park what fails under the group's name.

        `place` are the partition and the position at which the page ends.
        """
        pending = deque(apart(part) for part in parts)
        while pending:
            batch = pending.popleft()
            waiting = [change for change in batch if change.run_no in self.held]
            free = [change for change in batch if change.run_no not in self.held]
            for change in waiting:
                self._try_again(self.held[change.run_no], change, place, parking)
            error = self._attempt(free) if free else None
            if error is None:
                continue
            if len(free) == 1:
                self._hold(free[0], place, error, parking)
            else:
                middle = len(free) // 2
                pending.extendleft((free[middle:], free[:middle]))

    def _try_again(
        self, letter: Held, change: Change, place: tuple[int, int], parking: Parking
    ) -> None:
        whole = merged(decode_change(letter.change), change)
        error = None if whole is None else self._attempt([whole])
        if whole is None or error is None:
            deadletters.remove(self._connection, letter.id)
            del self.held[letter.run_no]
        else:
            self._hold(whole, place, error, parking, letter)

    def requeue(self, letter: DeadLetter) -> None:
        """Apply what a letter holds; it stays, with the new error, if that fails again."""
        held = self.held.get(letter.run_no)
        if held is None:  # it only lets rebuilds pass
            deadletters.remove(self._connection, letter.id)
            return
        change = decode_change(held.change)
        error = self._attempt([change])
        if error is None:
            deadletters.remove(self._connection, letter.id)
            del self.held[letter.run_no]
        else:
            self._renew(held, change, (letter.partition, letter.position), error)

    def _attempt(self, changes: list[Change]) -> Exception | None:
        """Apply changes, or nothing of them and say why."""
        connection = self._connection
        connection.execute("SAVEPOINT delivery")
        try:
            self.group.update(connection, Changes(changes))
            self.group.flush(connection)
        except Exception as exc:
            if connection.in_transaction:
                connection.execute("ROLLBACK TO delivery")
                connection.execute("RELEASE delivery")
            self.group.forget()
            if is_not_the_event(exc):
                raise
            return exc
        connection.execute("RELEASE delivery")
        return None

    def _hold(
        self,
        change: Change,
        place: tuple[int, int],
        error: Exception,
        parking: Parking,
        letter: Held | None = None,
    ) -> None:
        if letter is not None:
            self._renew(letter, change, place, error)
            return
        key = (self.group.name, *place, change.run_no)
        state = parking.state(self._connection, key, error)
        content = encode_change(change)
        id = deadletters.hold(
            self._connection, key, content, error=error, now_ns=self._clock(), state=state
        )
        self.held[change.run_no] = Held(id, change.run_no, content)

    def _renew(
        self, letter: Held, change: Change, place: tuple[int, int], error: Exception
    ) -> None:
        key = (self.group.name, *place, change.run_no)
        content = encode_change(change)
        deadletters.hold(
            self._connection, key, content, error=error, now_ns=self._clock(), id=letter.id
        )
        self.held[change.run_no] = Held(letter.id, change.run_no, content)

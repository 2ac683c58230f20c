"""One views file being fed: pages in, rows and checkpoints out, in one transaction each.

Every fold of a page has a savepoint of its own. If one fails, the page is halved until the
event that it cannot apply stands alone; that one is parked, and the others are applied.
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from events.crash import crash_at
from events.errors import Damaged, LogDamaged, SpanledgerError, Unavailable
from events.log.chain import genesis, segment_hash
from events.log.port import LogReader, Page
from projections.engine.port import Fold, Poison
from projections.storage import checkpoint, deadletters
from projections.storage.checkpoint import Checkpoint
from projections.storage.deadletters import DeadLetter, State
from projections.storage.generation import Generation, bound_wal, describe
from projections.storage.statements import run_script

Clock = Callable[[], int]
Key = tuple[str, int, int]


class TooManyParked(Exception):
    """More than 1 % of the last 10,000 events could not be applied; `position` is the last."""

    def __init__(self, position: int) -> None:
        super().__init__(f"more than 1 % of the last 10,000 events up to {position} were parked")
        self.position = position


class RebuildStopped(SpanledgerError):
    """A rebuild met an event that it cannot apply, and that is not known to be a dead letter."""

    def __init__(self, projection: str, position: int, error: Exception) -> None:
        super().__init__(
            f"the rebuild stopped at position {position}: {projection} cannot apply it: "
            f"{type(error).__name__}: {error}. Discard or park it, or repair the projection"
        )
        self.projection = projection
        self.position = position


class Parking(Protocol):
    """Decides what becomes of an event that cannot be applied."""

    def state(self, view: "View", key: Key, error: Exception) -> State:
        """The state to record it with, or raise to stop."""
        ...


class ParkAll:
    """Park whatever fails; used where the rate was looked at already."""

    def state(self, view: "View", key: Key, error: Exception) -> State:
        return "parked"


class ParkUpToRate:
    """Live folding: park, until more than 1 % of the last 10,000 events were parked."""

    def __init__(self, since: int = 0) -> None:
        self.since = since

    def state(self, view: "View", key: Key, error: Exception) -> State:
        if deadletters.too_many(view.connection, key[1], key[2], self.since):
            raise TooManyParked(key[2])
        return "parked"


class ParkKnown:
    """Rebuilding: only what is a dead letter already may fail."""

    def __init__(self, known: Collection[DeadLetter]) -> None:
        self._states = {letter.key: letter.state for letter in known}

    def state(self, view: "View", key: Key, error: Exception) -> State:
        if key not in self._states:
            raise RebuildStopped(key[0], key[2], error) from error
        return self._states[key]


class View:
    """An open views file with the folds that feed it. Used by one thread at a time."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        folds: Sequence[Fold],
        clock: Clock = time.time_ns,
    ) -> None:
        self.path = path
        self.connection = connection
        self.folds = folds
        self.clock = clock
        self.names = [p.name for fold in folds for p in fold.projections]
        self.generation: Generation = describe(connection)
        self.checkpoints: list[Checkpoint] = []
        self.load()
        self._epoch = max((c.epoch for c in self.checkpoints), default=0)

    @classmethod
    def create(
        cls,
        path: Path,
        connection: sqlite3.Connection,
        folds: Sequence[Fold],
        reader: LogReader,
        *,
        number: int,
        indexed: bool,
        clock: Clock = time.time_ns,
    ) -> "View":
        """Make the tables of a new file, with every checkpoint at the log's start."""
        with transaction(connection):
            run_script(connection, "projections.storage", "views.sql")
            connection.execute(
                "INSERT INTO generation (number, created_ns, as_of) VALUES (?, ?, 0)",
                (number, clock()),
            )
            for fold in folds:
                fold.create(connection)
                if indexed:
                    fold.index(connection)
            start = genesis(reader.log_id)
            checkpoint.insert(
                connection,
                (
                    Checkpoint(p.name, part, p.version, 0, start, 0, reader.log_id, 1, clock())
                    for fold in folds
                    for p in fold.projections
                    for part in reader.partitions
                ),
            )
        return cls(path, connection, folds, clock)

    def load(self) -> None:
        """Read the checkpoints again and forget what the folds have cached."""
        self.checkpoints = checkpoint.load(self.connection)
        for fold in self.folds:
            fold.forget()

    def claim(self) -> None:
        """Take the file over from whoever fed it before."""
        with transaction(self.connection):
            checkpoint.claim(self.connection)
        self.load()
        self._epoch = max((c.epoch for c in self.checkpoints), default=0)

    def own(self, partition: int) -> list[Checkpoint]:
        """The checkpoints of the projections fed here, in one partition."""
        names = set(self.names)
        held = self.checkpoints
        return [c for c in held if c.projection in names and c.partition == partition]

    def position(self, partition: int) -> int:
        """How far the projections fed here have come; they advance together."""
        return min((c.position for c in self.own(partition)), default=0)

    def check(self, reader: LogReader) -> None:
        """Compare every checkpoint with the log; see `checkpoint.check`."""
        checkpoint.check(self.checkpoints, reader)

    def apply(self, page: Page, parking: Parking) -> None:
        """Apply one page and commit.

        Raises:
            LostRace: another process fed this file.
            LogDamaged: the page does not follow what was applied before.
            TooManyParked, RebuildStopped: the parking says stop; nothing was kept.
        """
        held = self.own(page.partition)
        follows(page, held[0].hash)
        with self._transaction():
            for fold in self.folds:
                self._apply_fold(fold, page, parking)
            crash_at("view.before_checkpoint")
            checkpoint.advance(
                self.connection, self.names, page, epoch=self._epoch, now_ns=self.clock()
            )
            crash_at("view.before_commit")
        self.checkpoints = checkpoint.load(self.connection)

    def requeue(self, id: int, reader: LogReader) -> DeadLetter | None:
        """Apply a dead letter again; None if that went well, else the letter with its error."""
        letter = deadletters.get(self.connection, id)
        fold = self._fold_of(letter.projection)
        page = reader.read(letter.partition, letter.position - 1, limit_segments=1)
        with self._transaction():
            deadletters.remove(self.connection, id)
            only = page.only(letter.position)
            self._apply_fold(fold, only, ParkAll(), projection=letter.projection)
        left = deadletters.listing(self.connection, projection=letter.projection)
        return next((found for found in left if found.key == letter.key), None)

    def keep_small(self) -> None:
        """Bound the WAL; called between pages."""
        bound_wal(self.connection, self.path)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.connection.close()

    def _transaction(self) -> AbstractContextManager[None]:
        return transaction(self.connection, on_failure=self.load)

    def _fold_of(self, projection: str) -> Fold:
        for fold in self.folds:
            if any(p.name == projection for p in fold.projections):
                return fold
        raise Unavailable(f"{projection} is not fed now; rebuild it first")

    def _apply_fold(
        self, fold: Fold, page: Page, parking: Parking, projection: str | None = None
    ) -> None:
        parts = [page] if page.count else []
        while parts:
            part = parts.pop()
            try:
                self._try(fold, part)
            except Exception as exc:
                if _is_not_the_event(exc):
                    raise
                if part.count > 1:
                    parts += reversed(_split(part, exc))
                    continue
                name = projection or _blamed(fold, exc)
                self._park(name, part, parking, exc)

    def _try(self, fold: Fold, page: Page) -> None:
        self.connection.execute("SAVEPOINT page")
        try:
            fold.apply(self.connection, page)
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO page")
                self.connection.execute("RELEASE page")
            fold.forget()
            raise
        self.connection.execute("RELEASE page")

    def _park(self, name: str, page: Page, parking: Parking, exc: Exception) -> None:
        error = exc.error if isinstance(exc, Poison) else exc
        key = (name, page.partition, page.through)
        deadletters.park(
            self.connection,
            key,
            event_id=page.segments[0].event_id(page.through),
            error=error,
            now_ns=self.clock(),
        )
        if parking.state(self, key, error) == "discarded":
            deadletters.discard(self.connection, key)


@contextmanager
def transaction(
    connection: sqlite3.Connection, on_failure: Callable[[], None] | None = None
) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or everything taken back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if on_failure is not None:
            on_failure()
        raise


def bounded(page: Page, after: int, through: int) -> Page:
    """The part of a page after `after`, up to and with `through`."""
    held = tuple(s for s in page.segments if s.last > after and s.first <= through)
    return Page(page.partition, after, through, held)


def follows(page: Page, previous: bytes) -> None:
    """Check that a page is the log's continuation of what ended with the hash `previous`.

    Raises:
        LogDamaged: a segment is missing, was altered, or belongs to another history.
    """
    for number, segment in enumerate(page.segments):
        inside = number == 0 and segment.first <= page.after
        if previous != (segment.hash if inside else segment.previous_hash):
            raise LogDamaged(
                f"segment at position {segment.first} does not follow what was read before it",
                position=segment.first,
            )
        if segment.hash != segment_hash(
            segment.previous_hash, segment.first, segment.count, segment.committed_ns,
            segment.ids, segment.digest,
        ):  # fmt: skip
            raise LogDamaged(
                f"segment at position {segment.first}: its header or ids were altered",
                position=segment.first,
            )
        previous = segment.hash


def _split(page: Page, error: Exception) -> list[Page]:
    """Parts of a page that failed: around the event that is blamed, else its halves."""
    middle = (page.after + page.through) // 2
    cuts = [page.after, middle, page.through]
    if isinstance(error, Poison) and page.after < error.position <= page.through:
        cuts = sorted({page.after, error.position - 1, error.position, page.through})
    return [bounded(page, a, b) for a, b in pairwise(cuts)]


def _blamed(fold: Fold, error: Exception) -> str:
    names = [p.name for p in fold.projections]
    if isinstance(error, Poison) and error.projection in names:
        return error.projection
    return names[0]


def _is_not_the_event(error: Exception) -> bool:
    """Is it the disk, the file, the log or the machine that failed, and not one event?"""
    if type(error) is sqlite3.DatabaseError:  # its subclasses tell of values and statements
        return True
    others = (sqlite3.OperationalError, sqlite3.InternalError, MemoryError, OSError, Damaged)
    return isinstance(error, (*others, Unavailable))

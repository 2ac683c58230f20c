"""An open views file: its checkpoints, its transactions, and the folds that feed it."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

from events.log.chain import genesis
from events.log.port import LogReader
from projections.engine.apart.follower import Follower
from projections.engine.counting.failures import Failures
from projections.engine.counting.tally import Tally
from projections.engine.delivery import Delivery
from projections.engine.port import Fold, Staged
from projections.errors.verdicts import FOLDER as RULES
from projections.storage import checkpoint, configuration
from projections.storage.checkpoint import Checkpoint
from projections.storage.generation import Generation, complete, describe

Clock = Callable[[], int]


class ViewFile:
    """An open views file with the folds that feed it. Used by one thread at a time.

    `paused` are projections that apply nothing, each with the reason; `slow` are groups that are
    left behind until they have caught up. `followers` are groups of this generation in files of
    their own; while `holds_spool` says so, nothing of the spool is forgotten.
    """

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
        self.paused: dict[str, str] = {}
        self.slow: set[str] = set()
        self.tally = Tally()
        self.failures = Failures(path.parent / RULES)
        self.followers: Sequence[Follower] = ()
        self.holds_spool: Callable[[], bool] = lambda: False
        self._deliveries = {
            fold.projections[0].name: [Delivery(g, connection, clock) for g in fold.groups]
            for fold in folds
            if isinstance(fold, Staged)
        }
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
    ) -> Self:
        """Make the tables of a new file, with every checkpoint at the log's start."""
        with transaction(connection):
            complete(connection)
            connection.execute(
                "INSERT INTO generation (number, created_ns, as_of) VALUES (?, ?, 0)",
                (number, clock()),
            )
            for fold in folds:
                fold.create(connection)
                if indexed:
                    fold.index(connection)
            projections = [p for fold in folds for p in fold.projections]
            configuration.store(connection, {p.name: p.configuration for p in projections})
            start = genesis(reader.log_id)
            checkpoint.insert(
                connection,
                (
                    Checkpoint(p.name, part, p.version, 0, start, 0, reader.log_id, 1, clock())
                    for p in projections
                    for part in reader.partitions
                ),
            )
        return cls(path, connection, folds, clock)

    def load(self) -> None:
        """Read the checkpoints again and forget what the folds have cached."""
        self._read_checkpoints()
        for fold in self.folds:
            fold.forget()
            if isinstance(fold, Staged):
                fold.attach(self.connection)
        for delivery in self._every_delivery():
            delivery.forget()

    def _read_checkpoints(self) -> None:
        self.checkpoints = checkpoint.load(self.connection)
        self._places = {(c.projection, c.partition): c for c in self.checkpoints}

    def every_checkpoint(self) -> list[Checkpoint]:
        """Those of this file as read last, and those of the files beside it as they are now."""
        return [*self.checkpoints, *(c for f in self.followers for c in f.checkpoints())]

    def _every_delivery(self) -> Iterator[Delivery]:
        for deliveries in self._deliveries.values():
            yield from deliveries

    def claim(self) -> None:
        """Take the file over from whoever fed it before."""
        with transaction(self.connection):
            checkpoint.claim(self.connection)
        self.load()
        self._epoch = max((c.epoch for c in self.checkpoints), default=0)

    # Where projections stand

    def at(self, name: str, partition: int) -> int:
        """How far a projection has come."""
        held = self._places.get((name, partition))
        return 0 if held is None else held.position

    def places(self, partition: int) -> list[int]:
        """How far the folds have come that read the log and are not paused, least first.

        A group apart that is ahead counts as well, so that a page ends there: after a power cut
        this file may have lost pages that the group's has.
        """
        found = {self.at(f.projections[0].name, partition) for f in self._reading()}
        if found:
            ahead = (f.at(partition) for f in self.followers if f.stage is not None)
            found.update(at for at in ahead if at > max(found))
        return sorted(found)

    def _reading(self) -> list[Fold]:
        return [fold for fold in self.folds if fold.projections[0].name not in self.paused]

    def position(self, partition: int) -> int:
        """How far the folds have come that read the log; the slowest, unless it is paused."""
        folds = self._reading() or self.folds
        return min((self.at(f.projections[0].name, partition) for f in folds), default=0)

    def check(self, reader: LogReader) -> None:
        """Compare every checkpoint with the log; see `checkpoint.check`."""
        checkpoint.check(self.checkpoints, reader)

    def close(self) -> None:
        """Close the file; may be called twice."""
        for follower in self.followers:
            follower.close()
        self.connection.close()

    def _transaction(self) -> AbstractContextManager[None]:
        return transaction(self.connection, on_failure=self.load)


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

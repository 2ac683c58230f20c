"""A group in a process of its own, as the projector sees it: through its file, which it reads."""

import sqlite3
from pathlib import Path

from projections.storage import checkpoint, deadletters, states
from projections.storage.checkpoint import Checkpoint
from projections.storage.generation import connect_reader
from projections.storage.states import Note


class Follower:
    """The file of one group; `stage` tells it changes (None: it reads the log itself)."""

    def __init__(self, name: str, path: Path, stage: str | None) -> None:
        self.name = name
        self.stage = stage
        self._connection: sqlite3.Connection = connect_reader(path)

    def at(self, partition: int) -> int:
        """How far it has come, as committed."""
        places = {held.partition: held.position for held in self.checkpoints()}
        return places.get(partition, 0)

    def checkpoints(self) -> list[Checkpoint]:
        """Its places in the log."""
        return checkpoint.load(self._connection)

    def notes(self) -> dict[str, Note]:
        """What it does if it does not simply follow."""
        return states.load(self._connection)

    def parked(self) -> int:
        """How many dead letters it has."""
        return deadletters.counts(self._connection).get(self.name, 0)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._connection.close()

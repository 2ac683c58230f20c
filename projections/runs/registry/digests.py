"""Numbers of texts by a digest of the text, for texts of which most are new.

Digests are random. Those of a page are kept until it ends and written together, as one sorted
run. Two texts may have one digest, so the caller compares the text of each candidate.
"""

import sqlite3
from collections.abc import Collection

import numpy as np

from projections.storage.sorted_runs import SortedRuns


class Digests:
    """Digest -> numbers; within the caller's transaction."""

    def __init__(self, tables: str) -> None:
        """`tables` is the name of the index in the views file."""
        self._index = SortedRuns(tables, filtered=True)
        self._unwritten: dict[int, list[int]] = {}

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._index.forget()
        self._unwritten.clear()

    def add(self, digest: int, number: int) -> None:
        """Keep a number until `flush`; it is found from now on."""
        self._unwritten.setdefault(digest, []).append(number)

    def candidates(self, connection: sqlite3.Connection, digests: Collection[int]) -> list[int]:
        """The numbers that any of these digests leads to, in no order."""
        wanted = np.fromiter(digests, np.uint64, len(digests))
        found: list[int] = self._index.find(connection, wanted)[1].tolist()
        for digest in self._unwritten.keys() & digests:
            found += self._unwritten[digest]
        return found

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what came since the last time."""
        pairs = [(digest, no) for digest, numbers in self._unwritten.items() for no in numbers]
        self._unwritten.clear()
        if pairs:
            digests, numbers = np.array(pairs, np.int64).T
            self._index.add(connection, digests.astype(np.uint64), numbers)

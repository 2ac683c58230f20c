"""Where the log records stand that name a span but no task: they join the run of that span.

Which of them do is not known when they come: the span may arrive later, in any page. Most never
do, as every service writes exceptions into its log. So nothing of them is stored but a digest of
the span and the place in the log, 14 bytes in sorted runs, and the facts are made only for those
that join a run: from memory if they came lately, else from the log (`Extracted.recall`). See
docs/adr/007-loose-log-records.md.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from projections.runs.extracted import Loose, Origin
from projections.storage.sorted_runs import SortedRuns
from projections.storage.spanindex import span_hashes

TABLES: Final = "loose"


class LooseLogs:
    """Digest of a span -> places of its log records; within the caller's transaction."""

    def __init__(self) -> None:
        self._index = SortedRuns(TABLES, filtered=True)
        self._unwritten: dict[int, list[Origin]] = {}
        self._partitions: list[int] | None = None

    def forget(self) -> None:
        """Drop what is kept in memory, written or not."""
        self._index.forget()
        self._unwritten.clear()
        self._partitions = None

    def add(self, logs: Sequence[Loose]) -> dict[int, list[Origin]]:
        """Take in what a part of a page has; returns it by the digest of the span."""
        hashes = span_hashes(
            [log.tenant_no for log in logs],
            [log.trace_id for log in logs],
            [log.span_id for log in logs],
        )
        arrived: dict[int, list[Origin]] = {}
        for hash_, log in zip(hashes.tolist(), logs, strict=True):
            arrived.setdefault(hash_, []).append(log.origin)
        for hash_, origins in arrived.items():
            self._unwritten.setdefault(hash_, []).extend(origins)
        return arrived

    def is_empty(self, connection: sqlite3.Connection) -> bool:
        """Did none ever come?"""
        return not self._unwritten and not self._held(connection)

    def find(
        self, connection: sqlite3.Connection, hashes: Iterable[int]
    ) -> Mapping[int, set[Origin]]:
        """The places of all that may belong to these spans; spans without any are left out."""
        wanted = list(hashes)
        found = {hash_: set(self._unwritten[hash_]) for hash_ in wanted if hash_ in self._unwritten}
        keys = np.array(wanted, np.uint64)
        for partition in self._held(connection):
            ordinals, positions = self._index.find(connection, keys, partition)
            for ordinal, position in zip(ordinals.tolist(), positions.tolist(), strict=True):
                found.setdefault(wanted[ordinal], set()).add((partition, position))
        return found

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what came since the last time."""
        by_partition: dict[int, list[tuple[int, int]]] = {}
        for hash_, origins in self._unwritten.items():
            for partition, position in origins:
                by_partition.setdefault(partition, []).append((hash_, position))
        self._unwritten.clear()
        for partition, pairs in by_partition.items():
            hashes, positions = np.array(pairs, np.int64).T
            self._index.add(connection, hashes.astype(np.uint64), positions, partition)
            self._partitions = None

    def _held(self, connection: sqlite3.Connection) -> list[int]:
        """The partitions of which something is written."""
        if self._partitions is None:
            self._partitions = self._index.partitions(connection)
        return self._partitions

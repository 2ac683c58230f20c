"""An append-only index in SQLite, key -> values, for keys that are random: sorted runs.

A B-tree of random digests would touch one page an entry. Here each addition writes one sorted run
at the end of a table, and runs are merged as they grow, a bounded step with every addition
(`sorted_merge`); what comes in small pages is written with the small run before it. It lives in
the caller's transaction, so a crash leaves what was committed.

Keys have 63 bits and should be spread evenly, as digests are. Equal entries may be added again
and are found once. Values that grow with time (positions, numbers) cost 4 bytes each, keys 8.
A filter (`key_filter`), 2 bytes more, spares searching runs for keys that are not there; an index
that is only asked for what it has needs none.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from projections.storage.key_filter import Ints, Keys
from projections.storage.run_cache import RunCache
from projections.storage.sorted_merge import OFFSET_LIMIT, Merger
from projections.storage.sorted_tables import BLOCK_ENTRIES, LIVE, Run, RunTables

FAN: Final = 8
KEYS_AT_ONCE: Final = 4_096
"""So many keys are looked up together: bounds the blocks that are in memory."""


class SortedRuns:
    """One index: the tables `<name>_run`, `<name>_block` and, if filtered, `<name>_filter`.

    Keeps filters and the first keys of blocks in memory between look-ups of many keys, bounded;
    call `forget` after a rollback. `between` keeps nothing and may be called by readers.
    """

    def __init__(
        self,
        name: str,
        *,
        filtered: bool = False,
        fan: int = FAN,
        block_entries: int = BLOCK_ENTRIES,
    ) -> None:
        self._tables = RunTables(name, filtered=filtered, block_entries=block_entries)
        self._merger = Merger(self._tables, fan)
        self._cache = RunCache(self._tables)
        self.tables: Sequence[str] = self._tables.names

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables."""
        self._tables.create(connection)

    def forget(self) -> None:
        """Drop what is kept in memory."""
        self._cache.clear()

    def add(
        self, connection: sqlite3.Connection, keys: Keys, values: Ints, partition: int = 0
    ) -> None:
        """Add entries, in any order, and go on with merging for about as long as that took."""
        runs, added = self._tables.runs(connection, partition), len(keys)
        small = self._merger.small_run(runs, values)
        if small is not None:
            held_keys, held_values, _ = self._tables.read(connection, small, 1)
            keys, values = np.concatenate((held_keys, keys)), np.concatenate((held_values, values))
        order = np.argsort(keys, kind="stable")
        keys, values = keys[order], values[order]
        if small is not None:
            self._cache.drop(small.run_no)
            self._tables.empty(connection, small, _bounds(values), len(values))
            self._tables.append(connection, small, keys, values)
        else:
            runs += self._new_runs(connection, partition, keys, values)
        self._merger.step(connection, partition, runs, added)

    def _new_runs(
        self, connection: sqlite3.Connection, partition: int, keys: Keys, values: Ints
    ) -> Iterator[Run]:
        for part in _near(values):
            some = values[part]
            run = self._tables.new_run(connection, partition, LIVE, _bounds(some), len(some))
            self._tables.append(connection, run, keys[part], some)
            yield run

    def partitions(self, connection: sqlite3.Connection) -> list[int]:
        """The partitions that have entries, ascending."""
        return [row[0] for row in connection.execute(self._tables.sql["partitions"])]

    def between(
        self, connection: sqlite3.Connection, low: int, high: int, partition: int = 0
    ) -> list[int]:
        """The values of all keys from `low` to `high`, both included, ascending."""
        found: set[int] = set()
        rows = connection.execute(
            self._tables.sql["between"], {"partition": partition, "low": low, "high": high}
        )
        for base, keys, offsets in rows:
            held = np.frombuffer(keys, "<u8")
            start, end = np.searchsorted(held, [np.uint64(low), np.uint64(high + 1)])
            found.update(
                (np.frombuffer(offsets, "<u4")[start:end].astype(np.int64) + base).tolist()
            )
        return sorted(found)

    def find(
        self, connection: sqlite3.Connection, keys: Keys, partition: int = 0
    ) -> tuple[Ints, Ints]:
        """Every entry with one of these keys: the key's ordinal, and the value; in this order."""
        if not len(keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        live = [run for run in self._tables.runs(connection, partition) if run.state == LIVE]
        self._cache.keep_only(partition, {run.run_no for run in live})
        order = np.argsort(keys)
        found: set[tuple[int, int]] = set()
        for at in range(0, len(keys), KEYS_AT_ONCE):
            chosen = order[at : at + KEYS_AT_ONCE]
            places = chosen.tolist()
            pairs = self._find(connection, live, keys[chosen])
            found.update((places[ordinal], value) for ordinal, value in pairs)
        ordinals, values = np.array(sorted(found), np.int64).reshape(-1, 2).T
        return ordinals, values

    def _find(
        self, connection: sqlite3.Connection, live: Sequence[Run], keys: Keys
    ) -> Iterator[tuple[int, int]]:
        """The ordinals of ascending keys and their values, in no order."""
        wanted: dict[int, list[tuple[int, int]]] = {}  # by block: ordinals, and the run's base
        for run, ordinals in self._cache.passing(connection, live, keys):
            fences = self._cache.fences(connection, run)
            # Entries equal to a block's first key may begin in the block before it.
            first = np.maximum(np.searchsorted(fences, keys[ordinals], "left") - 1, 0)
            end = np.searchsorted(fences, keys[ordinals], "right")
            for ordinal, begin, stop in zip(
                ordinals.tolist(), first.tolist(), end.tolist(), strict=True
            ):
                for block_no in range(run.first + begin, run.first + stop):
                    wanted.setdefault(block_no, []).append((ordinal, run.base))
        for block_no, held, offsets in self._tables.blocks(connection, list(wanted)):
            for ordinal, base in wanted[block_no]:
                start = held.searchsorted(keys[ordinal])
                if start < len(held) and held[start] == keys[ordinal]:
                    stop = held.searchsorted(keys[ordinal], "right")
                    for offset in offsets[start:stop].tolist():
                        yield ordinal, base + offset


def _bounds(values: Ints) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def _near(values: Ints) -> Iterator[Ints | slice]:
    """Which entries make a run: all, unless values lie too far apart for one."""
    if not len(values):
        return
    if int(values.max()) - int(values.min()) < OFFSET_LIMIT:
        yield slice(None)
        return
    far = values // OFFSET_LIMIT
    for group in np.unique(far):
        yield np.flatnonzero(far == group)

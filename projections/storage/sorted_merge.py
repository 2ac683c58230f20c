"""Merging sorted runs, a bounded step with every addition.

As many runs of about one size as the fan says become one run of the next size. That goes on in
steps of about twice what is added, in each size, so a merge is done before its runs have come
together again. Until it is done the runs it reads are the ones searched. Every entry is written
about once a size.
"""

import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np

from projections.storage.key_filter import Ints
from projections.storage.sorted_tables import BUILDING, DOOMED, LIVE, Run, RunTables

OFFSET_LIMIT = 1 << 32
"""So far apart may the values of a run be."""


class Merger:
    """Goes on with the merges of one index."""

    def __init__(self, tables: RunTables, fan: int) -> None:
        self._tables = tables
        self._fan = fan

    def small_run(self, runs: Iterable[Run], values: Ints) -> Run | None:
        """The run that is rather written anew with a few more entries than kept beside them.

        None unless both fit into one block: so small pages cost a block each, and do not leave
        a run each for look-ups to ask and merges to count.
        """
        free = [run for run in runs if run.state == LIVE and run.target is None]
        run = min(free, key=lambda run: run.entries, default=None)
        if run is None or not 0 < len(values) <= self._tables.block_entries - run.entries:
            return None
        far = max(int(values.max()), run.top) - min(int(values.min()), run.base) >= OFFSET_LIMIT
        return None if far else run

    def step(
        self, connection: sqlite3.Connection, partition: int, runs: Sequence[Run], added: int
    ) -> None:
        """Go on for about as long as adding so many entries took, and begin what can begin.

        `runs` are all of the partition.
        """
        budget = 2 * added + self._tables.block_entries
        for of_a_size in self._by_size(run for run in runs if run.state == DOOMED):
            self._remove(connection, of_a_size, budget)
        sources: dict[int, list[Run]] = {}
        for run in runs:
            if run.state == LIVE and run.target is not None:
                sources.setdefault(run.target, []).append(run)
        targets = {run.run_no: run for run in runs if run.state == BUILDING}
        left: dict[int, int] = {}
        for target_no in sorted(targets):
            merged = sources[target_no]
            size = self._size(merged[0])
            left[size] = self._go_on(connection, targets[target_no], merged, left.get(size, budget))
        self._begin(connection, partition, runs)

    def _size(self, run: Run) -> int:
        """0 below `fan` entries, 1 below its square, and so on."""
        size, entries = 0, run.entries // self._fan
        while entries:
            size, entries = size + 1, entries // self._fan
        return size

    def _by_size(self, runs: Iterable[Run]) -> Iterable[list[Run]]:
        groups: dict[int, list[Run]] = {}
        for run in runs:
            groups.setdefault(self._size(run), []).append(run)
        return groups.values()

    def _remove(self, connection: sqlite3.Connection, doomed: Iterable[Run], budget: int) -> None:
        left = budget // self._tables.block_entries + 1
        for run in doomed:
            if left > 0:
                left -= max(self._tables.remove(connection, run, left), 1)

    def _begin(self, connection: sqlite3.Connection, partition: int, runs: Sequence[Run]) -> None:
        free = [run for run in runs if run.state == LIVE and run.target is None]
        for of_a_size in self._by_size(free):
            chosen = self._near(of_a_size)
            if not chosen:
                continue
            bounds = min(run.base for run in chosen), max(run.top for run in chosen)
            entries = sum(run.entries for run in chosen)
            target = self._tables.new_run(connection, partition, BUILDING, bounds, entries)
            connection.executemany(
                self._tables.sql["give_target"],
                [{"target": target.run_no, "run_no": run.run_no} for run in chosen],
            )

    def _near(self, runs: list[Run]) -> list[Run]:
        """Enough runs whose values one run can hold; none if there are not so many."""
        runs.sort(key=lambda run: (run.base, run.run_no))
        for at in range(len(runs) - self._fan + 1):
            chosen = runs[at : at + self._fan]
            if max(run.top for run in chosen) - chosen[0].base < OFFSET_LIMIT:
                return chosen
        return []

    def _go_on(
        self, connection: sqlite3.Connection, target: Run, sources: Sequence[Run], budget: int
    ) -> int:
        """Move entries until the target is whole or the budget is used; returns what is left."""
        while budget > 0:
            moved, is_whole = self._move(connection, target, sources, budget)
            budget -= moved
            if is_whole:
                values = {"run_no": target.run_no}
                connection.execute(self._tables.sql["finish"], values)
                connection.execute(self._tables.sql["doom"], values)
                break
        return budget

    def _move(
        self, connection: sqlite3.Connection, target: Run, sources: Sequence[Run], budget: int
    ) -> tuple[int, bool]:
        """Move about `budget` of the smallest entries; how many, and whether none is left.

        What is moved fills blocks. There is always enough for one: of the source whose entries
        end first all are taken, and where it has more, more than one block of it was read.
        """
        size = self._tables.block_entries
        limit = max(budget // size // len(sources), 1) + 1
        parts = [self._tables.read(connection, run, limit) for run in sources]
        bound = min((keys[-1] for keys, _, more in parts if more), default=None)
        taken = [
            len(keys) if bound is None else int(np.searchsorted(keys, bound, "right"))
            for keys, _, _ in parts
        ]
        keys = np.concatenate([part[0][:n] for part, n in zip(parts, taken, strict=True)])
        values = np.concatenate([part[1][:n] for part, n in zip(parts, taken, strict=True)])
        count = len(keys) if bound is None else len(keys) // size * size
        order = np.argsort(keys, kind="stable")[:count]
        self._tables.append(connection, target, keys[order], values[order])
        if bound is not None:
            owner = np.repeat(np.arange(len(sources)), taken)[order]
            moved = np.bincount(owner, minlength=len(sources)).tolist()
            for run, entries in zip(sources, moved, strict=True):
                if entries:
                    self._tables.advance(connection, run, entries)
        return count, bound is None

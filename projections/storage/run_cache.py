"""What look-ups keep of the runs of an index: their filters, and the first keys of their blocks.

Bounded in bytes: the filter of a run that does not fit in is read where it is asked, each time.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from projections.storage.key_filter import (
    CELL_BYTES,
    PART_CELLS,
    Cells,
    Ints,
    Keys,
    cells_from,
    masks_of,
    passing,
    places_of,
)
from projections.storage.sorted_tables import NUMBER_BITS, Run, RunTables

FILTERS_BYTES: Final = 64 << 20
"""The filters of 32 million keys."""


class RunCache:
    """Filters and fences of live runs, by their numbers; what changes is to be dropped."""

    def __init__(self, tables: RunTables) -> None:
        self._tables = tables
        self._partitions: dict[int, int] = {}  # by run
        self._filters: dict[int, Cells] = {}
        self._fences: dict[int, Keys] = {}
        self.kept_bytes = 0
        """Of filters; fences take a hundredth of it."""

    def clear(self) -> None:
        """Drop everything."""
        self._partitions.clear()
        self._filters.clear()
        self._fences.clear()
        self.kept_bytes = 0

    def drop(self, run_no: int) -> None:
        """Drop what is kept of a run."""
        self._partitions.pop(run_no, None)
        self.kept_bytes -= self._filters.pop(run_no, np.empty(0)).nbytes
        self._fences.pop(run_no, None)

    def keep_only(self, partition: int, run_nos: Collection[int]) -> None:
        """Drop what is kept of a partition's runs that are not searched any more."""
        gone = [n for n, at in self._partitions.items() if at == partition and n not in run_nos]
        for run_no in gone:
            self.drop(run_no)
        self._partitions.update(dict.fromkeys(run_nos, partition))

    def passing(
        self, connection: sqlite3.Connection, runs: Sequence[Run], keys: Keys
    ) -> Iterator[tuple[Run, Ints]]:
        """Each run with the ordinals of the keys that it may have, if there are any."""
        if not self._tables.filtered:
            every = np.arange(len(keys))
            yield from ((run, every) for run in runs)
            return
        masks = masks_of(keys)
        for run in runs:
            held = self._cells(connection, run, places_of(keys, run.cells))
            ordinals = np.flatnonzero(passing(held, masks))
            if len(ordinals):
                yield run, ordinals

    def fences(self, connection: sqlite3.Connection, run: Run) -> Keys:
        """The first key of each block of a run."""
        fences = self._fences.get(run.run_no)
        if fences is None:
            rows = connection.execute(self._tables.sql["fences"], {"run_no": run.run_no})
            fences = np.fromiter((row[0] for row in rows), np.uint64)
            self._fences[run.run_no] = fences
        return fences

    def _cells(self, connection: sqlite3.Connection, run: Run, places: Ints) -> Cells:
        """The cells of a run's filter at these ascending places."""
        cells = self._filters.get(run.run_no)
        if cells is None:
            if self.kept_bytes + run.cells * CELL_BYTES > FILTERS_BYTES:
                return self._read_some(connection, run, places)
            cells = np.zeros((run.cells, 2), np.uint64)
            end = run.first + (1 << NUMBER_BITS)
            for part_no, bits in connection.execute(
                self._tables.sql["filter"], {"first": run.first, "end": end}
            ):
                _put(cells, (part_no - run.first) * PART_CELLS, bits)
            self._filters[run.run_no] = cells
            self.kept_bytes += cells.nbytes
        found: Cells = cells[places]
        return found

    def _read_some(self, connection: sqlite3.Connection, run: Run, places: Ints) -> Cells:
        """The same from the table, without keeping it."""
        parts, held_in = np.unique(places // PART_CELLS, return_inverse=True)
        cells = np.zeros((len(parts) * PART_CELLS, 2), np.uint64)
        for ordinal, part in enumerate(parts.tolist()):
            values = (run.first + part,)
            row = connection.execute(self._tables.sql["filter_part"], values).fetchone()
            if row is not None:  # else no key lies in there
                _put(cells, ordinal * PART_CELLS, row[0])
        found: Cells = cells[held_in * PART_CELLS + places % PART_CELLS]
        return found


def _put(cells: Cells, at: int, bits: bytes) -> None:
    held = cells_from(bits)
    cells[at : at + len(held)] = held

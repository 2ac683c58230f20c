"""The tables of one index of sorted runs: a run's row, its blocks of entries, its filter.

Blocks are written from a run's begin to its end and never changed. All but the last one are full,
so the place of an entry is its number divided by the entries of a block.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from events.log.sqlite import load_queries
from projections.storage.key_filter import (
    KEYS_A_CELL,
    PART_CELLS,
    Ints,
    Keys,
    cells_for,
    cells_from,
    parts_of,
)

BLOCK_ENTRIES: Final = 336
"""With 12 bytes an entry a block fills a page of SQLite; others of its size overflow."""
NUMBER_BITS: Final = 24  # of a block or a part of a filter within its run
LIVE, BUILDING, DOOMED = range(3)
_BLOCKS_AT_ONCE: Final = 64

Offsets = npt.NDArray[np.uint32]

_statements = load_queries("projections.storage", "sorted_runs.sql")


@dataclass(slots=True)
class Run:
    """A row of the table of runs; the columns are told there."""

    run_no: int
    state: int
    entries: int
    base: int
    top: int
    cells: int
    target: int | None
    next_entry: int

    @property
    def first(self) -> int:
        """The number of its first block, and of the first part of its filter."""
        return self.run_no << NUMBER_BITS


class RunTables:
    """Statements on the tables `<name>_run`, `<name>_block` and, if filtered, `<name>_filter`."""

    def __init__(self, name: str, *, filtered: bool, block_entries: int) -> None:
        self.sql = {key: sql.replace("sorted_", f"{name}_") for key, sql in _statements.items()}
        self.names = [f"{name}_run", f"{name}_block", *([f"{name}_filter"] if filtered else [])]
        self._some_blocks = self.sql["some_blocks"].replace(
            ":blocks", ", ".join("?" * _BLOCKS_AT_ONCE)
        )
        self.filtered = filtered
        self.block_entries = block_entries

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables, with the indexes by which runs and blocks are found."""
        for statement in ("create_runs", "create_live", "create_blocks", "create_fences"):
            connection.execute(self.sql[statement])
        if self.filtered:
            connection.execute(self.sql["create_filters"])

    def runs(self, connection: sqlite3.Connection, partition: int) -> list[Run]:
        """Every run of a partition, oldest first."""
        rows = connection.execute(self.sql["runs"], {"partition": partition})
        return [Run(*row) for row in rows]

    def new_run(
        self,
        connection: sqlite3.Connection,
        partition: int,
        state: int,
        bounds: tuple[int, int],
        entries: int,
    ) -> Run:
        """A run without entries, for so many of them, whose values lie within `bounds`."""
        run_no: int = connection.execute(self.sql["last_run"]).fetchone()[0] + 1
        cells = cells_for(entries) if self.filtered else 0
        run = Run(run_no, state, 0, *bounds, cells, None, 0)
        values = {
            "run_no": run_no, "partition": partition, "state": state,
            "base": run.base, "top": run.top, "cells": cells,
        }  # fmt: skip
        connection.execute(self.sql["add_run"], values)
        return run

    def empty(
        self, connection: sqlite3.Connection, run: Run, bounds: tuple[int, int], entries: int
    ) -> None:
        """Make a live run of one block take in so many entries instead of those that it has.

        What a cache holds of it is no longer true.
        """
        run.entries, (run.base, run.top) = 0, bounds
        run.cells = cells_for(entries) if self.filtered else 0
        values = {"run_no": run.run_no, "base": run.base, "top": run.top, "cells": run.cells}
        connection.execute(self.sql["rewrite_run"], values)

    def append(self, connection: sqlite3.Connection, run: Run, keys: Keys, values: Ints) -> None:
        """Append entries that are sorted by key, behind those that the run has."""
        size = self.block_entries
        held, offsets = keys.astype("<u8"), (values - run.base).astype("<u4")
        first = run.first + run.entries // size
        connection.executemany(
            self.sql["add_block"],
            (
                (
                    first + number,
                    run.run_no,
                    int(held[at]),
                    held[at : at + size].tobytes(),
                    offsets[at : at + size].tobytes(),
                )
                for number, at in enumerate(range(0, len(held), size))
            ),
        )
        if self.filtered:
            self._append_filter(connection, run, keys)
        connection.execute(self.sql["grow"], {"run_no": run.run_no, "entries": len(keys)})
        run.entries += len(keys)

    def _append_filter(self, connection: sqlite3.Connection, run: Run, keys: Keys) -> None:
        rows: list[tuple[int, bytes]] = []
        for number, added in parts_of(keys, run.cells):
            part_no, bits = run.first + number, added.astype("<u8")
            if run.entries and not rows:  # the last step may have ended within this part
                held = connection.execute(self.sql["filter_part"], (part_no,)).fetchone()
                if held is not None:
                    bits |= cells_from(held[0])
            rows.append((part_no, bits.tobytes()))
        connection.executemany(self.sql["write_filter"], rows)

    def read(self, connection: sqlite3.Connection, run: Run, limit: int) -> tuple[Keys, Ints, bool]:
        """Keys and values from `next_entry` on, of `limit` blocks; and whether there are more."""
        block, skip = divmod(run.next_entry, self.block_entries)
        limit = min(limit, -(-run.entries // self.block_entries) - block)
        rows = connection.execute(
            self.sql["blocks"], {"first": run.first + block, "limit": limit}
        ).fetchall()
        keys = np.frombuffer(b"".join(keys for keys, _ in rows), "<u8")
        offsets = np.frombuffer(b"".join(offsets for _, offsets in rows), "<u4")
        more = (block + limit) * self.block_entries < run.entries
        return keys[skip:].astype(np.uint64), offsets[skip:].astype(np.int64) + run.base, more

    def blocks(
        self, connection: sqlite3.Connection, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Keys, Offsets]]:
        """Some blocks of any runs: number, keys and offsets."""
        for at in range(0, len(numbers), _BLOCKS_AT_ONCE):
            some = list(numbers[at : at + _BLOCKS_AT_ONCE])
            some += some[-1:] * (_BLOCKS_AT_ONCE - len(some))  # so that there is one statement
            for number, keys, offsets in connection.execute(self._some_blocks, some):
                yield number, np.frombuffer(keys, "<u8"), np.frombuffer(offsets, "<u4")

    def advance(self, connection: sqlite3.Connection, run: Run, entries: int) -> None:
        """Note that so many more entries of a run are merged."""
        run.next_entry += entries
        values = {"run_no": run.run_no, "next_entry": run.next_entry}
        connection.execute(self.sql["advance"], values)

    def remove(self, connection: sqlite3.Connection, run: Run, limit: int) -> int:
        """Remove up to `limit` blocks of a doomed run, at last the run; returns how many."""
        size = self.block_entries
        begin = run.next_entry // size
        end = min(begin + limit, -(-run.entries // size))
        is_last = end * size >= run.entries
        connection.execute(
            self.sql["remove_blocks"], {"first": run.first + begin, "end": run.first + end}
        )
        if self.filtered:
            parts = end * size // (KEYS_A_CELL * PART_CELLS)
            through = run.first + (parts if not is_last else 1 << NUMBER_BITS)
            connection.execute(self.sql["remove_filter"], {"first": run.first, "end": through})
        if is_last:
            connection.execute(self.sql["remove_run"], {"run_no": run.run_no})
        else:
            self.advance(connection, run, (end - begin) * size)
        return end - begin

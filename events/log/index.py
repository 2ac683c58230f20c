"""The duplicate index: which ids are in the log, and in which segment; a cache in memory.

The durable record of an id is its segment's `ids` column. Here each id is 12 bytes in a
hash table: 64 bits of the (random, keyed) id and the ordinal of its segment. Tables come in
generations: a full one is sealed, written to a cache file and never changed again, and a new
one of twice the size takes over, so that growth never rehashes and a start maps the sealed
ones from disk. A hit is only a candidate: the caller confirms it against the segment.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from events.log.table import U64, Ints, Table
from events.private import make_private

FOLDER: Final = "index"
_FIRST_BITS: Final = 21
_LAST_BITS: Final = 23  # at most so many ids are learnt again by a start
_AHEAD: Final = 1 / 8
"""The share of a table that is left when the next one is made."""
_WRITE_BYTES: Final = 256 << 10
_WRITE_PAUSE_S: Final = 0.02

_log = logging.getLogger(__name__)


def hashes(ids: bytes) -> U64:
    """The first 64 bits of each packed id; never 0, which marks an empty slot."""
    found: U64 = np.frombuffer(ids, dtype="<u8")[::2].astype(np.uint64)
    found[found == 0] = 1
    return found


class DuplicateIndex:
    """All generations. Used by the writer's thread alone."""

    def __init__(
        self,
        folder: Path,
        log_id: str,
        anchor_of: Callable[[int], str],
        first_bits: int = _FIRST_BITS,
    ) -> None:
        """`anchor_of(n)` tells the hash, in hex, of the n-th segment of the log."""
        self._folder = folder
        self._log_id = log_id
        self._anchor_of = anchor_of
        self._first_bits = first_bits
        self._tables: list[Table] = []
        self._clashes: dict[bytes, int] = {}  # ids whose 64 bits another id took first
        self._coming: Future[Table] | None = None
        self._making = ThreadPoolExecutor(1, "index-making")
        self._saving = ThreadPoolExecutor(1, "index-saving")  # slow on purpose: none waits for it

    def __len__(self) -> int:
        return sum(table.count for table in self._tables) + len(self._clashes)

    @property
    def through(self) -> int:
        """Ordinal after the last indexed segment."""
        return max((table.through for table in self._tables), default=0)

    def find(self, wanted: U64) -> Ints:
        """A candidate's segment ordinal for each hash; -1 where the id is certainly new."""
        return self._find_in(self._tables[::-1], wanted)

    @staticmethod
    def _find_in(tables: Sequence[Table], wanted: U64) -> Ints:
        found = np.full(len(wanted), -1, np.int64)
        for table in tables:
            table.find(wanted, found)
        return found

    def clash(self, event_id: bytes) -> int:
        """The segment ordinal of an id whose 64 bits belong to another id; -1 if unknown."""
        return self._clashes.get(event_id, -1)

    def add(self, ids: bytes, segments: Ints, *, known_new: bool = False) -> None:
        """Learn packed ids of whole segments, in log order.

        Args:
            segments: the segment ordinal of each id.
            known_new: `find` has just said so; spares looking again.
        """
        new = hashes(ids)
        if known_new:
            self._insert(ids, new, segments)
            return
        with ThreadPoolExecutor(1) as other:  # a start does little else: let it use two cores
            look = other.submit(self._find_in, self._tables[:-1], new)
            self._insert(ids, new, segments)
            self._remember(ids, segments, np.flatnonzero(look.result() >= 0))

    def _insert(self, ids: bytes, new: U64, segments: Ints) -> None:
        at = 0
        while at < len(new):
            table = self._active()
            end = min(len(new), at + table.room())
            present = table.insert(new[at:end], segments[at:end])
            self._remember(ids, segments, np.flatnonzero(present) + at)
            whole = end == len(new) or segments[end] != segments[end - 1]
            table.through = int(segments[end - 1]) + int(whole)
            at = end
            if self._coming is None and table.room() < _AHEAD * (1 << table.bits):
                # Its memory is touched for the first time, which would hold up a commit.
                bits = min(table.bits + 1, _LAST_BITS)
                self._coming = self._making.submit(Table, bits)

    def _remember(self, ids: bytes, segments: Ints, clashing: Ints) -> None:
        for i in clashing.tolist():
            self._clashes[ids[16 * i : 16 * i + 16]] = int(segments[i])

    def remember(self, event_id: bytes, segment: int) -> None:
        """Learn an id whose 64 bits are taken by another id."""
        self._clashes[event_id] = segment

    def _active(self) -> Table:
        if not self._tables:
            self._tables.append(Table(self._first_bits))
        elif self._tables[-1].room() <= 0:
            if not self._tables[-1].sealed:
                self._seal(self._tables[-1])
            bits = min(self._tables[-1].bits + 1, _LAST_BITS)
            coming, self._coming = self._coming, None
            self._tables.append(Table(bits) if coming is None else coming.result())
        return self._tables[-1]

    def _seal(self, table: Table) -> None:
        table.sealed = True
        path = self._folder / f"{len(self._tables) - 1:04}.idx"
        about = {
            "log_id": self._log_id,
            "bits": table.bits,
            "count": table.count,
            "through": table.through,
            "anchor": self._anchor_of(table.through),
            "clashes": {event_id.hex(): at for event_id, at in self._clashes.items()},
        }
        self._saving.submit(save_table, path, about, table)

    def load(self) -> None:
        """Map the sealed generations of this log from their cache files."""
        for table, about in load_tables(self._folder):
            if about["log_id"] != self._log_id or about["anchor"] != self._anchor_of(table.through):
                break
            self._tables.append(table)
            self._clashes.update((bytes.fromhex(k), at) for k, at in about["clashes"].items())

    def close(self) -> None:
        """Wait for cache files under way; the index is not used any more."""
        self._making.shutdown()
        self._saving.shutdown()


def save_table(path: Path, about: dict[str, Any], table: Table) -> None:
    """Write a sealed table to its cache file; failing to is no harm, it is rebuilt then."""
    head = json.dumps(about).encode()
    part = path.with_suffix(".part")
    try:
        make_private(path.parent)
        with part.open("wb", buffering=0) as file:
            file.write(len(head).to_bytes(8, "little") + hashlib.sha256(head).digest() + head)
            file.write(bytes(-file.tell() % 4096))
            for array in (table.keys, table.segments):
                view = array.view(np.uint8).data
                for at in range(0, len(view), _WRITE_BYTES):
                    file.write(view[at : at + _WRITE_BYTES])
                    os.fdatasync(file.fileno())  # in steps: a commit waits for one at most
                    time.sleep(_WRITE_PAUSE_S)
        part.replace(path)
        table.keys, table.segments = _map(path, about["bits"])  # equal, and not in memory
    except OSError as exc:
        _log.warning("the duplicate index was not cached", extra={"error": str(exc)})


def load_tables(folder: Path) -> Iterator[tuple[Table, dict[str, Any]]]:
    """The cached generations with their heads, oldest first, up to one that is not whole."""
    for path in sorted(folder.glob("*.idx")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                check, head = file.read(32), file.read(min(size, 1 << 24))
                offset = file.tell() + -file.tell() % 4096
            if hashlib.sha256(head).digest() != check:
                return
            about = json.loads(head)
            if path.stat().st_size != offset + (12 << about["bits"]):
                return
        except (OSError, ValueError, KeyError):
            return
        table = Table(about["bits"], *_map(path, about["bits"]))
        table.count, table.through = about["count"], about["through"]
        yield table, about


def _map(path: Path, bits: int) -> tuple[U64, Any]:
    """Keys and segment ordinals at the end of a cache file, mapped read-only."""
    slots = 1 << bits
    at = path.stat().st_size - 12 * slots
    keys = np.memmap(path, np.uint64, "r", at, (slots,))
    segments = np.memmap(path, np.uint32, "r", at + 8 * slots, (slots,))
    return keys.view(np.ndarray), segments.view(np.ndarray)

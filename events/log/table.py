"""One table of the duplicate index: a hash table of ids in two arrays.

`events.log._table` is there where the package was built with a C compiler, and does the same as
`find` and `insert` here, faster.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from events.native import load

native: Final = load("events.log._table")
_WIDTH: Final = 8
_FILL: Final = 0.7
_TOUCHED_AT_ONCE: Final = 1 << 15  # so long the interpreter's lock may be held

U64 = NDArray[np.uint64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Table:
    """Buckets of eight slots, 64 bytes of keys each, filled to 70 %.

    `keys` holds 64 bits of an id in each slot, 0 where it is empty; `segments` the ordinal of the
    id's segment. A bucket is filled from its first slot on. What does not fit goes to the next
    bucket, so a look-up ends at the first bucket with an empty slot: nearly always the one it
    starts in.
    """

    def __init__(self, bits: int, keys: U64 | None = None, segments: Any = None) -> None:
        """`2 ** bits` slots, new or mapped from a cache file."""
        self.bits = bits
        self.count = 0
        self.through = 0
        """Ordinal after the last segment whose ids are all in here or in older tables."""
        self.sealed = keys is not None
        slots = 1 << bits
        self.keys: U64 = _zeros(slots, np.uint64) if keys is None else keys
        self.segments = _zeros(slots, np.uint32) if segments is None else segments

    def room(self) -> int:
        """How many more ids fit."""
        return int(_FILL * (1 << self.bits)) - self.count

    def find(self, wanted: U64, found: Ints) -> None:
        """Where `found` is negative and the id is here, put the ordinal of its segment."""
        if native is not None:
            native.find(self.keys, self.segments, wanted, found)
        else:
            _find(self, wanted, found)

    def insert(self, added: U64, segments: Ints) -> Flags:
        """Add distinct ids with their segments; says which were here already and left out."""
        present = np.zeros(len(added), np.bool_)
        if native is not None:
            self.count += native.insert(self.keys, self.segments, added, segments, present)
        else:
            _insert(self, added, segments, present)
            self.count += len(added) - int(np.count_nonzero(present))
        return present

    def buckets(self, ids: U64) -> Ints:
        """The bucket in which the search for each id starts."""
        return (ids >> np.uint64(64 - self.bits + 3)).astype(np.int64)


def _zeros(count: int, kind: type[np.generic]) -> Any:
    """An array whose memory is there: `np.zeros` only asks for it, and each first touch waits."""
    array = np.empty(count, kind)
    for at in range(0, count, _TOUCHED_AT_ONCE):
        array[at : at + _TOUCHED_AT_ONCE] = 0
    return array


def _find(table: Table, wanted: U64, found: Ints) -> None:
    left: Ints = np.flatnonzero(found < 0)
    wanted = wanted[left]
    slots = table.keys.reshape(-1, _WIDTH)
    buckets, last = table.buckets(wanted), len(slots) - 1
    while left.size:
        held = slots[buckets]
        go_on = held[:, -1] != 0
        hits = np.flatnonzero(held == wanted[:, None])
        if hits.size:
            rows = hits >> 3
            found[left[rows]] = table.segments[buckets[rows] * _WIDTH + (hits & 7)]
            go_on[rows] = False
        rest = np.flatnonzero(go_on)
        left, wanted, buckets = left[rest], wanted[rest], (buckets[rest] + 1) & last


def _insert(table: Table, added: U64, segments: Ints, present: Flags) -> None:
    left: Ints = np.arange(len(added))
    keys, slots = table.keys, table.keys.reshape(-1, _WIDTH)
    buckets, last = table.buckets(added), len(slots) - 1
    while left.size:
        held = slots[buckets]
        same = np.unique(np.flatnonzero(held == added[:, None]) >> 3)
        present[left[same]] = True
        full = held[:, -1] != 0
        places = buckets * _WIDTH + np.count_nonzero(held, axis=1)
        waiting = ~full
        waiting[same] = False
        mine = np.flatnonzero(waiting)
        keys[places[mine]] = added[mine]  # of several on one slot, the last one wins
        won = mine[keys[places[mine]] == added[mine]]
        table.segments[places[won]] = segments[won]
        go_on = np.ones(len(left), np.bool_)
        go_on[same] = go_on[won] = False
        rest = np.flatnonzero(go_on)
        left, added, segments = left[rest], added[rest], segments[rest]
        buckets = (buckets[rest] + full[rest]) & last

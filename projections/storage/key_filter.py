"""A filter of the keys of one sorted run: "certainly not here" for nearly every absent key.

A blocked Bloom filter: cells of two 64-bit words for eight keys, three bits a key in each word,
in the cell at the key's place in the order of all keys. So a run's filter is written from its
begin to its end as the run is, and never changed again. Of absent keys it lets about 0.2 % pass
while keys are spread evenly, as digests are; others are found too, only slower.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.uint64]
"""Two words each."""

KEY_BITS: Final = 63
KEYS_A_CELL: Final = 8
CELL_BYTES: Final = 16
PART_CELLS: Final = 252
"""Cells of one row of the table: it fills a page of SQLite."""

_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_BIT: Final = np.uint64(1) << np.arange(64, dtype=np.uint64)
_LOW: Final = np.uint64(63)


def cells_for(entries: int) -> int:
    """The size of the filter of a run of so many entries, in cells."""
    return max(-(-entries // KEYS_A_CELL), 1)


def masks_of(keys: Keys) -> Cells:
    """The bits that stand for each key in its cell."""
    mixed = keys * _MIX
    masks = np.empty((len(keys), 2), np.uint64)
    for word, shifts in enumerate(((28, 34, 40), (46, 52, 58))):
        first, second, third = (_BIT[mixed >> np.uint64(shift) & _LOW] for shift in shifts)
        masks[:, word] = first | second | third
    return masks


def places_of(keys: Keys, cells: int) -> Ints:
    """The cell of each key; ascending as the keys are."""
    places = (keys >> np.uint64(KEY_BITS - 32)) * np.uint64(cells) >> np.uint64(32)
    return places.astype(np.int64)


def passing(held: Cells, masks: Cells) -> Flags:
    """Which keys may be there, by the cells at their places."""
    same = held & masks == masks
    found: Flags = same[:, 0] & same[:, 1]
    return found


def parts_of(keys: Keys, cells: int) -> Iterator[tuple[int, Cells]]:
    """What ascending keys add to a filter: number and cells of each part that they touch."""
    places = places_of(keys, cells)
    begins = np.ones(len(places), np.bool_)
    np.not_equal(places[1:], places[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    added = np.bitwise_or.reduceat(masks_of(keys), starts, axis=0)
    touched = places[starts]
    if cells <= PART_CELLS:  # most runs have one part
        part = np.zeros((cells, 2), np.uint64)
        part[touched] = added
        yield 0, part
        return
    numbers, first = np.unique(touched // PART_CELLS, return_index=True)
    ends = [*first[1:].tolist(), len(touched)]
    for number, begin, end in zip(numbers.tolist(), first.tolist(), ends, strict=True):
        before = number * PART_CELLS
        part = np.zeros((min(PART_CELLS, cells - before), 2), np.uint64)
        part[touched[begin:end] - before] = added[begin:end]
        yield number, part


def cells_from(bits: bytes) -> Cells:
    """The cells of a stored part."""
    return np.frombuffer(bits, "<u8").reshape(-1, 2)

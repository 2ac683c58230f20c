"""The native look-ups of the duplicate index do what the ones in Python do.

Skipped where the package was built without a C compiler; `.ci/run` builds it.
"""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.log import table
from events.log.table import Table
from tests.native_modules import required

native = required("events.log._table")

BITS = 6


def _few_buckets(seed: int, count: int) -> list[int]:
    """Distinct hashes that crowd into few buckets, the last one among them, so that some spill."""
    chance = random.Random(seed)
    tops = [*chance.sample(range(1 << 3), 3), 7]
    return list({chance.choice(tops) << 61 | chance.getrandbits(61) or 1 for _ in range(count)})


@given(st.integers(0, 2**32), st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_both_hold_and_find_the_same(seed: int, sizes: list[int]) -> None:
    """After the same inserts both know the same ids, those of before included, and no others."""
    ids = _few_buckets(seed, sum(sizes))
    ours, python = Table(BITS), Table(BITS)
    at = 0
    for ordinal, size in enumerate(sizes):
        part = np.array(ids[max(at - 2, 0) : at + size], np.uint64)  # two are there already
        at += size
        if len(part) > ours.room():
            break
        segments = np.full(len(part), ordinal)
        present = np.zeros(len(part), np.bool_)
        table._insert(python, part, segments, present)
        python.count += len(part) - int(present.sum())
        assert ours.insert(part, segments).tolist() == present.tolist()
        assert ours.count == python.count
    wanted = np.array([*ids, *_few_buckets(seed + 1, 20)], np.uint64)
    found, expected = (np.full(len(wanted), -1) for _ in range(2))
    found[::5] = expected[::5] = 999  # found elsewhere already
    ours.find(wanted, found)
    table._find(python, wanted, expected)
    assert found.tolist() == expected.tolist()


def test_arrays_that_are_no_table_are_refused() -> None:
    """Sizes that do not belong together are an error, not an access beyond the end."""
    keys, segments = np.zeros(64, np.uint64), np.zeros(64, np.uint32)
    ids, found = np.ones(3, np.uint64), np.zeros(3, np.int64)
    for bad in (
        (keys[:60], segments[:60], ids, found),
        (keys, segments[:60], ids, found),
        (keys[:8], segments[:8], ids, found),
        (keys, segments, ids, found[:2]),
    ):
        with pytest.raises(ValueError, match=r"table|place"):
            native.find(*bad)
    with pytest.raises(ValueError, match="ordinal"):
        native.insert(keys, segments, ids, found, np.zeros(2, np.bool_))


def test_a_full_table_ends_every_search() -> None:
    """A damaged cache file may have no empty slot; a search then ends after one round."""
    keys, segments = np.full(64, 7, np.uint64), np.zeros(64, np.uint32)
    found = np.full(1, -1)
    native.find(keys, segments, np.array([5], np.uint64), found)
    assert found.tolist() == [-1]
    assert native.insert(keys, segments, np.array([5], np.uint64), np.zeros(1, np.int64),
                         np.zeros(1, np.bool_)) == 0  # fmt: skip

"""Sorted runs in SQLite answer as a dictionary of sets would, and work in bounded steps."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.storage import run_cache
from projections.storage.key_filter import (
    PART_CELLS,
    cells_for,
    masks_of,
    parts_of,
    passing,
    places_of,
)
from projections.storage.sorted_runs import SortedRuns

SPREAD = 0x0A0F0F0F0F0F0F0F
_random = np.random.default_rng(5)


def new_index(**changes: int) -> tuple[sqlite3.Connection, SortedRuns]:
    """An index with a filter, in memory; `changes`: fan, block_entries."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    index = SortedRuns("test", filtered=True, **changes)
    index.create(connection)
    return connection, index


def digests(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Random keys."""
    return _random.integers(0, 1 << 63, count, np.uint64)


def found(
    index: SortedRuns, connection: sqlite3.Connection, keys: Sequence[int]
) -> dict[int, list[int]]:
    """What a look-up of many keys at once finds."""
    ordinals, values = index.find(connection, np.array(keys, np.uint64))
    answer: dict[int, list[int]] = {}
    for ordinal, value in zip(ordinals.tolist(), values.tolist(), strict=True):
        answer.setdefault(keys[ordinal], []).append(value)
    return answer


entries = st.tuples(
    st.one_of(st.integers(0, 12).map(lambda n: n * SPREAD), st.integers(0, (1 << 63) - 1)),
    st.one_of(st.integers(0, 40), st.integers(0, 1 << 40)),
)


@settings(max_examples=100, deadline=None)
@given(
    pages=st.lists(st.lists(entries, max_size=60), max_size=40),
    fan=st.integers(2, 4),
    block=st.integers(1, 8),
    forgetful=st.booleans(),
)
def test_it_equals_a_dictionary(
    pages: list[list[tuple[int, int]]], fan: int, block: int, forgetful: bool
) -> None:
    """Whatever is added, in whatever pages, is found by key and by range, and nothing else."""
    connection, index = new_index(fan=fan, block_entries=block)
    expected: dict[int, set[int]] = defaultdict(set)
    for page in pages:
        for key, value in page:
            expected[key].add(value)
        keys = np.array([key for key, _ in page], np.uint64)
        index.add(connection, keys, np.array([value for _, value in page], np.int64))
        if forgetful:
            index.forget()
        wanted = [*dict(page), 1, *list(expected)[:3]]
        held = {key: sorted(expected[key]) for key in wanted if key in expected}
        assert found(index, connection, list(dict.fromkeys(wanted))) == held
        for key in wanted[:4]:
            assert index.between(connection, key, key) == sorted(expected.get(key, ()))
    middle = 6 * SPREAD
    below = {value for key in expected if key <= middle for value in expected[key]}
    assert index.between(connection, 0, middle) == sorted(below)


def test_partitions_are_apart() -> None:
    """The same key in two partitions leads to the values of each."""
    connection, index = new_index(fan=2)
    keys = np.array([7], np.uint64)
    for number in range(9):
        index.add(connection, keys, np.array([number]), partition=number % 2)
    assert index.between(connection, 7, 7, partition=0) == [0, 2, 4, 6, 8]
    assert index.find(connection, keys, partition=1)[1].tolist() == [1, 3, 5, 7]
    assert index.find(connection, keys, partition=2)[1].tolist() == []


def test_a_rollback_takes_everything_back() -> None:
    """What was kept in memory of runs that are gone is forgotten with them."""
    connection, index = new_index(fan=2)
    index.add(connection, np.array([5], np.uint64), np.array([1]))
    connection.execute("BEGIN")
    index.add(connection, np.array([6], np.uint64), np.array([2]))
    assert found(index, connection, [5, 6]) == {5: [1], 6: [2]}
    connection.execute("ROLLBACK")
    index.forget()
    index.add(connection, np.array([8], np.uint64), np.array([3]))
    assert found(index, connection, [5, 6, 8]) == {5: [1], 8: [3]}


def test_a_hot_key_spans_blocks() -> None:
    """A key with more entries than a block holds, among others, is found whole."""
    connection, index = new_index(block_entries=16)
    for at in range(0, 4_000, 200):
        keys = np.where(np.arange(200) % 2, np.uint64(SPREAD), digests(200))
        index.add(connection, keys, np.arange(at, at + 200))
    assert found(index, connection, [SPREAD, 3]) == {SPREAD: list(range(1, 4_000, 2))}


class _Counting:
    """A connection that counts the rows and blocks that pass through it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.blocks = 0
        self.largest = 0

    def execute(self, statement: str, values: object = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)  # type: ignore[arg-type]

    def executemany(self, statement: str, rows: Iterator[tuple[object, ...]]) -> None:
        held = list(rows)
        if "_block" in statement:
            self.blocks += len(held)
            self.largest = max(self.largest, len(held))
        self._connection.executemany(statement, held)


@pytest.mark.parametrize("filtered", [True, False])
def test_an_addition_costs_what_it_adds(filtered: bool) -> None:
    """No addition writes more than a fixed multiple of its entries, however many there are.

    2 million entries in 500 pages: at most two entries a new one in each of the six sizes, and
    a block's worth for each. An entry is written at most once a size.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    index = SortedRuns("test", filtered=filtered)
    index.create(connection)
    pages, page, sizes = 500, 4_000, 7
    total = 0
    for number in range(pages):
        counting = _Counting(connection)
        index.add(counting, digests(page), np.arange(page) + number * page)  # type: ignore[arg-type]
        blocks = page / 336 + 1
        assert counting.blocks <= blocks + sizes * (2 * blocks + 2 * 8 + 2)
        total += counting.blocks
    assert total <= 1.1 * sizes * pages * page / 336
    runs = connection.execute("SELECT count(*) FROM test_run WHERE state = 0").fetchone()[0]
    assert runs <= 2 * 8 * sizes
    size = connection.execute("SELECT sum(length(keys)) FROM test_block").fetchone()[0]
    assert size <= 2.5 * 8 * pages * page  # what a merge reads stays until it is written


def test_small_additions_leave_few_runs() -> None:
    """Merging keeps the number of searched runs small, and loses nothing."""
    connection, index = new_index()
    keys = digests(30_000)
    for at in range(0, 30_000, 30):
        index.add(connection, keys[at : at + 30], np.arange(at + 1, at + 31))
    live = connection.execute("SELECT count(*) FROM test_run WHERE state = 0").fetchone()[0]
    assert live <= 3 * 8
    for at in (0, 14_999, 29_999):
        assert index.between(connection, int(keys[at]), int(keys[at])) == [at + 1]


def test_single_additions_share_a_run() -> None:
    """As many pages of one entry as fit into a block leave one run; each writes one block."""
    connection, index = new_index(block_entries=64)
    keys = digests(64)
    for number, key in enumerate(keys):
        counting = _Counting(connection)
        index.add(counting, keys[number : number + 1], np.array([number]))  # type: ignore[arg-type]
        assert counting.blocks == 1
        assert found(index, connection, [int(key)]) == {int(key): [number]}
    assert connection.execute("SELECT count(*), sum(entries) FROM test_run").fetchone() == (1, 64)


def test_a_filter_lets_few_absent_keys_pass() -> None:
    """Less than 0.4 % of other keys, and every key that it has; keys evenly spread."""
    keys = np.sort(digests(50_000))
    size = cells_for(len(keys))
    cells = np.zeros((size, 2), np.uint64)
    for number, part in parts_of(keys, size):
        cells[number * PART_CELLS :][: len(part)] |= part
    for asked, least, most in ((keys, 1.0, 1.0), (digests(200_000), 0.0, 0.004)):
        share = np.mean(passing(cells[places_of(asked, size)], masks_of(asked)))
        assert least <= share <= most


def test_filters_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that does not fit into the bound is read in parts, and says the same."""
    monkeypatch.setattr(run_cache, "FILTERS_BYTES", 1 << 10)
    connection, index = new_index()
    keys = digests(20_000)
    for at in range(0, 20_000, 5_000):
        index.add(connection, keys[at : at + 5_000], np.arange(at, at + 5_000))
    asked = np.concatenate([keys[::7], digests(1_000)])
    ordinals, values = index.find(connection, asked)
    assert ordinals.tolist() == list(range(len(keys[::7])))
    assert values.tolist() == list(range(0, 20_000, 7))
    assert index._cache.kept_bytes <= 1 << 10

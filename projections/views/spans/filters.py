"""Filters over many blocks: in which of them a token may be, without reading the blocks.

A Bloom filter a block, all of one size, turned over: word n holds bit n of every block's filter,
a bit a block. So a token is looked up for all 64 blocks by reading as many words as it has bits.
Of absent tokens about 1 % pass. Words lie in parts, a part a page of SQLite.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

import numpy as np

from events.log.sqlite import load_queries
from projections.views.spans.rows import Ints, Tokens

SQL: Final = load_queries("projections.views.spans", "statements.sql")
PART_WORDS: Final = 500
WORD_BYTES: Final = 8
_BITS_A_TOKEN: Final = 10
_ALL: Final = (1 << 64) - 1
_MIX: Final = tuple(
    np.uint64(odd)
    for odd in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F)
)


def places_of(tokens: Tokens, words: int) -> list[Ints]:
    """The words in which each token has a bit."""
    wide = tokens.astype(np.uint64)
    upper = np.uint64(32)
    return [((wide * mix >> upper) * np.uint64(words) >> upper).astype(np.int64) for mix in _MIX]


def write(
    connection: sqlite3.Connection, partition: int, filter_no: int, blocks: Iterable[Tokens]
) -> None:
    """Write the filter of some blocks, in order, by the tokens of each."""
    held = list(blocks)
    most = max((len(tokens) for tokens in held), default=0)
    words = max(-(-most * _BITS_A_TOKEN // PART_WORDS), 1) * PART_WORDS
    table = np.zeros(words, np.uint64)
    for number, tokens in enumerate(held):
        bit = np.uint64(1 << number)
        for places in places_of(tokens, words):
            table[places] |= bit
    connection.execute(SQL["add_filter"], (partition, filter_no, words))
    parts = table.astype("<u8").reshape(-1, PART_WORDS)
    connection.executemany(
        SQL["add_filter_part"],
        ((part_no(partition, filter_no, n), part.tobytes()) for n, part in enumerate(parts)),
    )


def part_no(partition: int, filter_no: int, part: int) -> int:
    """The key of a part of a filter."""
    return (partition << 30 | filter_no) << 20 | part


def passing(
    connection: sqlite3.Connection, partition: int, filter_no: int, words: int, token: int
) -> int:
    """A bit for each block of a filter that may have a token."""
    found = _ALL
    for places in places_of(np.array([token], np.uint32), words):
        part, at = divmod(int(places[0]), PART_WORDS)
        values = (at * WORD_BYTES + 1, part_no(partition, filter_no, part))
        (word,) = connection.execute(SQL["filter_word"], values).fetchone()
        found &= int.from_bytes(word, "little")
        if not found:
            break
    return found

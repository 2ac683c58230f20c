"""A block of the index: for each token the places of the spans that have it, and their times.

`tokens` are 4 bytes each, ascending. `postings`, compressed: how many places each token has
(2 bytes), each place as the distance from the one before it (the low bytes of all, then the high
ones), and of each place of the block how late it starts between the earliest and the latest span
(2 bytes) and the class of its duration (2 bytes).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from projections.views.spans.rows import Ints, Tokens

Flags = npt.NDArray[np.bool_]
_LEVEL: Final = 3
_STEPS: Final = 65_535
_CLASSES: Final = 512
"""Classes of durations to each doubling: at four, a sixth of all spans could be just too short, and
each was read in the log."""


class Encoded(NamedTuple):
    """A block as it is stored."""

    first_ns: int
    last_ns: int
    longest_ns: int
    tokens: bytes
    postings: bytes


def encode(places: Ints, tokens: Tokens, starts: Ints, ends: Ints, spans: Flags) -> Encoded:
    """A block of these (place, token) pairs; `starts`, `ends` and `spans` have an item a place."""
    pairs = np.sort(tokens.astype(np.uint64) << np.uint64(16) | places.astype(np.uint64))
    pairs = pairs[np.diff(pairs, prepend=pairs[:1] + np.uint64(1)) != 0]
    held = (pairs >> np.uint64(16)).astype(np.uint32)
    begins = np.flatnonzero(np.diff(held.astype(np.int64), prepend=-1))
    at = (pairs & np.uint64(0xFFFF)).astype(np.int64)
    distances = np.diff(at, prepend=0)
    distances[begins] = at[begins]
    durations = np.where(spans, np.maximum(ends - starts, 0), 0)
    kept = starts[spans]
    first_ns, last_ns = (int(kept.min()), int(kept.max())) if len(kept) else (0, -1)
    parts = (
        np.diff(begins, append=len(at)).astype("<u2"),
        (distances & 0xFF).astype(np.uint8),
        (distances >> 8).astype(np.uint8),
        steps_of(starts, first_ns, last_ns).astype("<u2"),
        classes_of(durations).astype("<u2"),
    )
    content = b"".join(part.tobytes() for part in parts)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
    return Encoded(
        first_ns,
        last_ns,
        int(durations.max(initial=0)),
        held[begins].astype("<u4").tobytes(),
        packed,
    )


def steps_of(starts: Ints, first_ns: int, last_ns: int) -> Ints:
    """How late each starts, in steps that grow with time."""
    share = (starts - first_ns).astype(np.float64) / max(last_ns - first_ns, 1)
    found: Ints = np.clip(share * _STEPS, 0, _STEPS).astype(np.int64)
    return found


def classes_of(durations: Ints) -> Ints:
    """The class of each duration, which grows with it."""
    found: Ints = (np.log2(np.maximum(durations, 1).astype(np.float64)) * _CLASSES).astype(np.int64)
    return found


class Postings:
    """The places of a block that is read; see the module."""

    def __init__(self, tokens: Tokens, postings: bytes, size: int) -> None:
        content = zstandard.ZstdDecompressor().decompress(postings)
        self._tokens, self._size = tokens, size
        counts = np.frombuffer(content, "<u2", len(tokens))
        self._ends = np.cumsum(counts, dtype=np.int64)
        total = int(self._ends[-1]) if len(tokens) else 0
        at = 2 * len(tokens)
        self._low = np.frombuffer(content, np.uint8, total, at)
        self._high = np.frombuffer(content, np.uint8, total, at + total)
        at += 2 * total
        self.steps = np.frombuffer(content, "<u2", size, at)
        self.classes = np.frombuffer(content, "<u2", size, at + 2 * size)

    def having(self, token: int) -> Flags:
        """Which places have a token."""
        flags = np.zeros(self._size, np.bool_)
        at = int(np.searchsorted(self._tokens, np.uint32(token)))
        if at < len(self._tokens) and self._tokens[at] == token:
            begin, end = int(self._ends[at - 1]) if at else 0, int(self._ends[at])
            distances = self._low[begin:end].astype(np.int64)
            distances += self._high[begin:end].astype(np.int64) << 8
            flags[np.cumsum(distances)] = True
        return flags

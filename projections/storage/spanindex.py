"""Where the spans of a task's attempts are: span hash -> run number, in sorted runs.

Span ids are random; a B-tree of them would cost more than all other tables together. The hash is
39 bits of (tenant, trace id) and 24 of the span id: the spans of a trace are a range.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from projections.storage.sorted_runs import SortedRuns

SPAN_BITS: Final = 24
_TABLES: Final = "span"
_READ: Final = SortedRuns(_TABLES)

Int64s = npt.NDArray[np.int64]

_M1, _M2, _M3, _M4 = (
    np.uint64(n)
    for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
)


def span_hashes(
    tenant_nos: Sequence[int], trace_ids: Sequence[bytes], span_ids: Sequence[bytes]
) -> Int64s:
    """The hash of each (tenant, trace id, span id); ids of another length count as zero."""
    traces = np.frombuffer(_packed(trace_ids, 16), dtype="<u8").reshape(-1, 2)
    spans = np.frombuffer(_packed(span_ids, 8), dtype="<u8")
    mixed = traces[:, 0] * _M1 ^ traces[:, 1] * _M2
    mixed = mixed ^ np.asarray(tenant_nos, dtype=np.uint64) * _M3
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _M4
    spans = (spans ^ (spans >> np.uint64(31))) * _M1
    packed = (mixed >> np.uint64(25) << np.uint64(SPAN_BITS)) | (spans >> np.uint64(40))
    hashes: Int64s = packed.astype(np.int64)
    return hashes


def _packed(ids: Sequence[bytes], length: int) -> bytes:
    packed = b"".join(ids)
    if len(packed) != length * len(ids) or any(len(id_) != length for id_ in ids):
        packed = b"".join(id_ if len(id_) == length else bytes(length) for id_ in ids)
    return packed


class SpanIndex:
    """The index of a views file, as the fold uses it; within the caller's transaction."""

    def __init__(self) -> None:
        self._runs = SortedRuns(_TABLES, filtered=True)
        self.tables = self._runs.tables

    def create(self, connection: sqlite3.Connection) -> None:
        """Make the tables."""
        self._runs.create(connection)

    def forget(self) -> None:
        """Drop what is kept in memory."""
        self._runs.forget()

    def add(self, connection: sqlite3.Connection, hashes: Int64s, run_nos: Int64s) -> None:
        """Add entries; equal ones may come again."""
        if len(hashes):
            self._runs.add(connection, hashes.astype(np.uint64), run_nos)

    def find(self, connection: sqlite3.Connection, hashes: Int64s) -> list[list[int]]:
        """The run numbers of each hash, ascending."""
        found: list[list[int]] = [[] for _ in hashes]
        ordinals, run_nos = self._runs.find(connection, hashes.astype(np.uint64))
        for ordinal, run_no in zip(ordinals.tolist(), run_nos.tolist(), strict=True):
            found[ordinal].append(run_no)
        return found


def runs_of_trace(connection: sqlite3.Connection, tenant: str, trace_id: bytes) -> list[int]:
    """Numbers of the runs with a span in a trace, ascending; other traces' by rare chance."""
    row = connection.execute("SELECT tenant_no FROM tenant WHERE name = ?", (tenant,)).fetchone()
    if row is None:
        return []
    low = int(span_hashes([row[0]], [trace_id], [bytes(8)])[0]) >> SPAN_BITS << SPAN_BITS
    return _READ.between(connection, low, low | ((1 << SPAN_BITS) - 1))

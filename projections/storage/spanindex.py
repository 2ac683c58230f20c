"""Where the spans of a task's attempts are: span hash -> run number, in sorted runs.

Span ids are random; a B-tree of them would cost more than all other tables together. So each
page appends one sorted run, and runs of one level are merged eight at a time. A look-up searches
every run; look-ups are rare (a trace by id, a log record that names only a span).

The hash is 39 bits of (tenant, trace id) and 24 of the span id: the spans of a trace are a range.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FANOUT: Final = 8
CHUNK_ENTRIES: Final = 1_024
SPAN_BITS: Final = 24

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


def append(connection: sqlite3.Connection, hashes: Int64s, run_nos: Int64s) -> None:
    """Add entries; equal ones may come again."""
    if len(hashes) == 0:
        return
    order = np.lexsort((run_nos, hashes))
    _write_run(connection, 0, hashes[order], run_nos[order])
    level = 0
    while _merge(connection, level):
        level += 1


def find(connection: sqlite3.Connection, hashes: Int64s) -> list[list[int]]:
    """The run numbers of each hash, ascending."""
    found: list[set[int]] = [set() for _ in hashes]
    for sorted_run, _, _ in _runs(connection):
        for ordinal, hash_ in enumerate(hashes.tolist()):
            found[ordinal].update(_range(connection, sorted_run, hash_, hash_))
    return [sorted(run_nos) for run_nos in found]


def runs_of_trace(connection: sqlite3.Connection, tenant: str, trace_id: bytes) -> list[int]:
    """Numbers of the runs with a span in a trace, ascending; other traces' by rare chance."""
    row = connection.execute("SELECT tenant_no FROM tenant WHERE name = ?", (tenant,)).fetchone()
    if row is None:
        return []
    low = int(span_hashes([row[0]], [trace_id], [bytes(8)])[0]) >> SPAN_BITS << SPAN_BITS
    high = low | ((1 << SPAN_BITS) - 1)
    found: set[int] = set()
    for sorted_run, _, _ in _runs(connection):
        found.update(_range(connection, sorted_run, low, high))
    return sorted(found)


def _runs(connection: sqlite3.Connection) -> list[tuple[int, int, int]]:
    return connection.execute("SELECT sorted_run, level, entries FROM span_run").fetchall()


def _range(connection: sqlite3.Connection, sorted_run: int, low: int, high: int) -> list[int]:
    """Run numbers between two hashes, both included, in one sorted run."""
    # Entries equal to `low` may begin in the chunk before the first one that starts with it.
    rows = connection.execute(
        "SELECT hashes, run_nos FROM span_chunk WHERE sorted_run = :run AND first_hash >= coalesce("
        "(SELECT max(first_hash) FROM span_chunk WHERE sorted_run = :run AND first_hash < :low),"
        " :low) AND first_hash <= :high",
        {"run": sorted_run, "low": low, "high": high},
    )
    found: list[int] = []
    for hash_blob, run_blob in rows:
        hashes = np.frombuffer(hash_blob, dtype="<i8")
        left, right = np.searchsorted(hashes, low), np.searchsorted(hashes, high, side="right")
        found += np.frombuffer(run_blob, dtype="<i8")[left:right].tolist()
    return found


def _write_run(connection: sqlite3.Connection, level: int, hashes: Int64s, run_nos: Int64s) -> None:
    sorted_run = connection.execute(
        "INSERT INTO span_run (level, entries) VALUES (?, ?)", (level, len(hashes))
    ).lastrowid
    connection.executemany(
        "INSERT INTO span_chunk VALUES (?, ?, ?, ?, ?)",
        (
            (
                sorted_run,
                int(hashes[at]),
                at,
                hashes[at : at + CHUNK_ENTRIES].astype("<i8").tobytes(),
                run_nos[at : at + CHUNK_ENTRIES].astype("<i8").tobytes(),
            )
            for at in range(0, len(hashes), CHUNK_ENTRIES)
        ),
    )


def _merge(connection: sqlite3.Connection, level: int) -> bool:
    """Merge the runs of a level into one of the next, if there are enough of them."""
    runs = [row[0] for row in _runs(connection) if row[1] == level]
    if len(runs) < FANOUT:
        return False
    hash_parts, run_parts = [], []
    for sorted_run in runs:
        for hashes, run_nos in connection.execute(
            "SELECT hashes, run_nos FROM span_chunk WHERE sorted_run = ?", (sorted_run,)
        ):
            hash_parts.append(np.frombuffer(hashes, dtype="<i8"))
            run_parts.append(np.frombuffer(run_nos, dtype="<i8"))
    all_hashes, all_runs = np.concatenate(hash_parts), np.concatenate(run_parts)
    order = np.lexsort((all_runs, all_hashes))
    marks = [(sorted_run,) for sorted_run in runs]
    connection.executemany("DELETE FROM span_chunk WHERE sorted_run = ?", marks)
    connection.executemany("DELETE FROM span_run WHERE sorted_run = ?", marks)
    _write_run(connection, level + 1, all_hashes[order], all_runs[order])
    return True

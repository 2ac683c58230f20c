"""An append-only index in SQLite: sorted runs of (digest, position), merged in tiers.

A B-tree of random digests would touch one page an event. Here a page of the log adds one sorted
run at the end of a table; sixteen runs of about one size are merged into one of the next. A merge
goes on in small steps, a few blocks with every page, so that no transaction is long; until it is
done the runs it reads are the ones searched. Every entry is written about once a tier.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from events.log.sqlite import load_queries
from projections.views.traces.trace_ids import Hashes, Positions

FAN: Final = 16
BLOCK_ENTRIES: Final = 512
_BLOCK_BITS: Final = 24
_OFFSET_LIMIT: Final = 1 << 32
_LIVE, _BUILDING, _DOOMED = range(3)

_sql = load_queries("projections.storage", "sorted_runs.sql")


@dataclass(slots=True)
class _Run:
    run_no: int
    state: int
    entries: int
    base: int
    blocks: int
    target: int | None
    next_block: int
    next_entry: int

    @property
    def tier(self) -> int:
        tier, size = 0, self.entries // BLOCK_ENTRIES
        while size:
            tier, size = tier + 1, size // FAN
        return tier


def add(
    connection: sqlite3.Connection, partition: int, hashes: Hashes, positions: Positions
) -> None:
    """Add entries, in any order, and go on with merging for about as long as that took."""
    if len(hashes):
        base = int(positions.min())
        order = np.argsort(hashes, kind="stable")
        run_no = _new_run(connection, partition, _LIVE, base)
        _write(connection, run_no, 0, hashes[order], (positions - base)[order])
    _merge(connection, partition, len(hashes))


def find(connection: sqlite3.Connection, partition: int, digest: int) -> list[int]:
    """Positions of all entries with this digest, ascending."""
    found: set[int] = set()
    live = connection.execute(_sql["live"], {"partition": partition}).fetchall()
    for run_no, base in live:
        values = {"run_no": run_no, "hash": digest}
        for hashes, offsets in connection.execute(_sql["find"], values):
            keys = np.frombuffer(hashes, "<u8")
            start, end = np.searchsorted(keys, [np.uint64(digest), np.uint64(digest + 1)])
            if start < end:
                places = np.frombuffer(offsets, "<u4")[start:end]
                found.update(base + int(place) for place in places)
    return sorted(found)


def _new_run(connection: sqlite3.Connection, partition: int, state: int, base: int) -> int:
    run_no: int = connection.execute(_sql["last_run"]).fetchone()[0] + 1
    connection.execute(
        _sql["add_run"],
        {
            "run_no": run_no,
            "partition": partition,
            "state": state,
            "entries": 0,
            "base": base,
            "blocks": 0,
        },
    )
    return run_no


def _write(
    connection: sqlite3.Connection, run_no: int, blocks: int, hashes: Hashes, offsets: Positions
) -> None:
    """Append sorted entries to a run that has `blocks` blocks."""
    keys, places = hashes.astype("<u8"), offsets.astype("<u4")
    first = (run_no << _BLOCK_BITS) + blocks
    starts = range(0, len(keys), BLOCK_ENTRIES)
    connection.executemany(
        _sql["add_block"],
        (
            (
                first + number,
                run_no,
                int(keys[at]),
                keys[at : at + BLOCK_ENTRIES].tobytes(),
                places[at : at + BLOCK_ENTRIES].tobytes(),
            )
            for number, at in enumerate(starts)
        ),
    )
    connection.execute(
        _sql["grow"], {"run_no": run_no, "entries": len(keys), "blocks": len(starts)}
    )


def _merge(connection: sqlite3.Connection, partition: int, entries: int) -> None:
    """Two entries a new one, in every tier: a merge is done before its tier has filled again."""
    budget = 2 * entries + BLOCK_ENTRIES
    values = {"partition": partition}
    runs = [_Run(*row) for row in connection.execute(_sql["runs"], values)]
    for run in runs:
        if run.state == _DOOMED:
            _remove(connection, run, budget // BLOCK_ENTRIES + 1)
    for target in [run for run in runs if run.state == _BUILDING]:
        sources = [run for run in runs if run.target == target.run_no and run.state == _LIVE]
        _step(connection, target, sources, budget)
    _start_merges(connection, partition, runs)


def _start_merges(connection: sqlite3.Connection, partition: int, runs: Sequence[_Run]) -> None:
    free: dict[int, list[_Run]] = {}
    for run in runs:
        if run.state == _LIVE and run.target is None:
            free.setdefault(run.tier, []).append(run)
    for tier in free.values():
        chosen = tier[:FAN]
        bases = [run.base for run in chosen]
        if len(chosen) < FAN or max(bases) - min(bases) > _OFFSET_LIMIT >> 1:
            continue
        target = _new_run(connection, partition, _BUILDING, min(bases))
        connection.executemany(
            _sql["give_target"],
            [{"target": target, "run_no": run.run_no} for run in chosen],
        )


@dataclass(slots=True)
class _Part:
    """What a step has read of one source: the entries of its next blocks."""

    run: _Run
    keys: Hashes
    places: Positions
    sizes: list[int]
    more: bool

    def taken(self, bound: int | None) -> int:
        """How many of the entries are at or below `bound`."""
        if bound is None:
            return len(self.keys)
        return int(np.searchsorted(self.keys, np.uint64(bound), "right"))


def _step(
    connection: sqlite3.Connection, target: _Run, sources: Sequence[_Run], budget: int
) -> None:
    """Move about `budget` of the smallest entries from the sources into the target."""
    limit = max(budget // BLOCK_ENTRIES // len(sources), 1) + 1
    parts = [_ahead(connection, run, limit) for run in sources]
    bound = min((int(part.keys[-1]) for part in parts if part.more), default=None)
    counts = [part.taken(bound) for part in parts]
    hashes = np.concatenate([p.keys[:count] for p, count in zip(parts, counts, strict=True)])
    offsets = np.concatenate(
        [
            part.places[:count] + (part.run.base - target.base)
            for part, count in zip(parts, counts, strict=True)
        ]
    )
    order = np.argsort(hashes, kind="stable")
    _write(connection, target.run_no, target.blocks, hashes[order], offsets[order])
    if bound is None:
        connection.execute(_sql["finish"], {"run_no": target.run_no})
        connection.execute(_sql["doom"], {"run_no": target.run_no})
        return
    connection.executemany(
        _sql["advance"],
        [_after(part, count) for part, count in zip(parts, counts, strict=True)],
    )


def _ahead(connection: sqlite3.Connection, run: _Run, limit: int) -> _Part:
    limit = min(limit, run.blocks - run.next_block)
    first = (run.run_no << _BLOCK_BITS) + run.next_block
    rows = connection.execute(_sql["blocks"], {"first": first, "limit": limit}).fetchall()
    keys = np.frombuffer(b"".join(hashes for hashes, _ in rows), "<u8")
    places = np.frombuffer(b"".join(offsets for _, offsets in rows), "<u4").astype(np.int64)
    sizes = [len(hashes) // 8 for hashes, _ in rows]
    skip = run.next_entry
    return _Part(run, keys[skip:], places[skip:], sizes, run.next_block + limit < run.blocks)


def _after(part: _Part, count: int) -> dict[str, int]:
    """Where the next step goes on in a source of which `count` more entries are merged."""
    at, block = part.run.next_entry + count, part.run.next_block
    for size in part.sizes:
        if at < size:
            break
        at -= size
        block += 1
    return {"run_no": part.run.run_no, "next_block": block, "next_entry": at}


def _remove(connection: sqlite3.Connection, run: _Run, limit: int) -> None:
    """Remove some blocks of a run that is merged, and at last the run."""
    first = (run.run_no << _BLOCK_BITS) + run.next_block
    end = min(run.next_block + limit, run.blocks)
    values = {"first": first, "end": (run.run_no << _BLOCK_BITS) + end}
    connection.execute(_sql["remove_blocks"], values)
    if end == run.blocks:
        connection.execute(_sql["remove_run"], {"run_no": run.run_no})
    else:
        connection.execute(
            _sql["advance"], {"run_no": run.run_no, "next_block": end, "next_entry": 0}
        )

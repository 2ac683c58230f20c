"""The one writer of the embedded log: group commit, duplicates, the chain.

`append_group` takes batches of several callers, commits them in one transaction under
`synchronous=FULL` and only then learns their ids and answers. After any failed commit the file
is closed, opened again, its head read again and the index's tail rebuilt before anything is
accepted: what the failed commit left behind is then known.
"""

import logging
import sqlite3
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from events import codec
from events.bounded import BoundedDict
from events.crash import crash_at
from events.errors import BadInput, CommitFailed, LogDamaged, SpanledgerError, Unavailable
from events.log import sqlite
from events.log.chain import check_segment, genesis, segment_hash
from events.log.dedup import split_ids, without
from events.log.head import HeadFile
from events.log.index import FOLDER, DuplicateIndex, hashes
from events.log.port import Appended, Batch, Head, Segment
from events.log.reader import SqliteReader
from events.log.repeats import Repeats
from events.log.table import Ints

CHECKPOINT_BYTES: Final = 16 << 20
"""WAL bytes after which the writer copies them into the file."""
RESTART_BYTES: Final = 64 << 20
"""WAL bytes after which it waits, briefly, for readers to let the WAL start anew."""
IDS_BYTES: Final = 16 << 20
"""Of the ids of segments that duplicates were looked for in lately."""
_ID_ENTRY_BYTES: Final = 170  # an id of 49 bytes, its number, and its part of a dictionary
_CHECKED_AT_START: Final = 64
_REBUILD_IDS: Final = 1 << 17

_log = logging.getLogger(__name__)
_sql = sqlite.load_queries("events.log", "queries.sql")


class _Sealed(NamedTuple):
    """A batch on its way into the group: what is left of it, and its place in the chain."""

    ordinal: int
    batch: Batch
    row: tuple[Any, ...]
    clashes: list[bytes]


class _Group:
    """One transaction in the making: the chain's end after it, and what it holds."""

    def __init__(self, head: Head, ordinal: int, batches: Sequence[Batch]) -> None:
        self.head = head
        self.ordinal = ordinal
        self.sealed: list[_Sealed] = []
        every = hashes(b"".join(batch.ids for batch in batches))
        self.repeats = len(np.unique(every)) != len(every)
        """Does an id stand twice in the group? Else its rows need no remembering."""
        self.rows: dict[bytes, tuple[Batch, int]] = {}


class LogWriter:
    """Writes `ledger.db`. Every method is called by one thread."""

    def __init__(
        self,
        data: Path,
        clock: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.repeats = Repeats(steady)
        self._data = data
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._head_file: HeadFile | None = None
        self._index: DuplicateIndex | None = None
        self._ids: BoundedDict[int, dict[bytes, int]] = BoundedDict(IDS_BYTES)
        self._wal_bytes = 0
        self._failed = False
        self._open()

    def _open(self) -> None:
        try:
            self._connection = connection = sqlite.connect_writer(self._data)
            self.log_id, self.identity_key = sqlite.read_meta(connection)
            rows = connection.execute(_sql["head"]).fetchall()
            self.head = Head(*rows[0]) if rows else Head(0, genesis(self.log_id), 0)
            if self._failed:
                # What a failed sync left in the WAL may be in memory only: write it once more.
                self._execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._check_tail()
            self._head_file = self._head_file or HeadFile(self._data)
            self._index_tail()
            self._failed = False
        except sqlite3.OperationalError as exc:
            self._shut()
            raise CommitFailed(f"the log cannot be opened for writing: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            self._shut()
            raise LogDamaged(f"{self._data / sqlite.FILE} is damaged: {exc}") from exc
        except BaseException:
            self._shut()
            raise

    def _check_tail(self) -> None:
        """Refuse a log whose end is not the one on record, or whose last segments were altered."""
        reader = SqliteReader(self._data)
        try:
            reader.check_head()
        finally:
            reader.close()
        rows = self._execute(_sql["last"], {"limit": _CHECKED_AT_START})
        tail = [Segment(0, *row) for row in reversed(rows)]
        previous, first = genesis(self.log_id), 1
        if len(tail) == _CHECKED_AT_START:
            previous, first = tail[0].previous_hash, tail[0].first
        for segment in tail:
            previous = check_segment(segment, previous, first)
            first = segment.last + 1

    def _index_tail(self) -> None:
        """Bring the duplicate index up to the log's head."""
        self._firsts = array("q", (row[0] for row in self._execute(_sql["firsts"])))
        if self._index is None:
            self._index = DuplicateIndex(self._data / FOLDER, self.log_id, self._anchor_of)
            self._index.load()
        ordinal = self._index.through
        after = self._firsts[ordinal - 1] if ordinal else 0
        held: list[bytes] = []
        counts: list[int] = []
        assert self._connection is not None
        for _, count, ids in self._connection.execute(_sql["ids"], {"after": after}):
            held.append(ids)
            counts.append(count)
            if len(counts) * 16 >= _REBUILD_IDS or len(counts) * count >= _REBUILD_IDS:
                ordinal = self._learn(held, counts, ordinal)
                held, counts = [], []
        self._learn(held, counts, ordinal)
        self._ids.clear()

    def _learn(self, held: list[bytes], counts: list[int], ordinal: int) -> int:
        assert self._index is not None
        segments: Ints = np.repeat(np.arange(ordinal, ordinal + len(counts)), counts)
        self._index.add(b"".join(held), segments)
        return ordinal + len(counts)

    def _anchor_of(self, count: int) -> str:
        if not 0 < count <= len(self._firsts):
            return ""
        rows = self._execute(_sql["at"], {"position": self._firsts[count - 1]})
        digest: bytes = rows[0][2]
        return digest.hex()

    def _execute(self, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        assert self._connection is not None
        return self._connection.execute(sql, values).fetchall()

    def append_group(self, batches: Sequence[Batch]) -> list[Appended | SpanledgerError]:
        """Append batches in one commit; one result each, in order.

        A batch that is malformed gets its own BadInput. If the commit fails, every batch gets
        CommitFailed, and nothing of the group counts as stored.
        """
        try:
            if self._connection is None:
                self._open()
        except Unavailable as exc:
            return [exc for _ in batches]
        results: list[Appended | SpanledgerError] = []
        try:
            group = _Group(self.head, len(self._firsts), batches)
            for batch in batches:
                results.append(self._admit(batch, group))
            if group.sealed:
                self._commit(group)
        except (sqlite3.Error, OSError) as exc:
            self._failed = True
            self._shut()
            _log.error("commit failed", extra={"action": "commit", "error": str(exc)})
            failure = CommitFailed(f"the log could not be written: {exc}; nothing was stored")
            return [failure for _ in batches]
        return [
            self._answer(batch, result) if isinstance(result, Appended) else result
            for batch, result in zip(batches, results, strict=True)
        ]

    def _answer(self, batch: Batch, admitted: Appended) -> Appended:
        """What to tell the sender of `batch` after the commit."""
        positions = tuple(map(self._place_of, split_ids(batch.ids))) if batch.located else ()
        return replace(admitted, through=self.head.position, positions=positions)

    def _place_of(self, event_id: bytes) -> int:
        """The position of an event that is stored."""
        assert self._index is not None
        segment = int(self._index.find(hashes(event_id))[0])
        if event_id not in self._ids_of(segment):
            segment = self._index.clash(event_id)
        return int(self._firsts[segment]) + self._ids_of(segment)[event_id]

    def _admit(self, batch: Batch, group: _Group) -> Appended | SpanledgerError:
        """Take the duplicates out of a batch and give it its place in the chain."""
        if batch.count < 1 or len(batch.ids) != 16 * batch.count:
            return BadInput(f"a batch of {batch.count} events came with {len(batch.ids)} id bytes")
        duplicates, clashes, conflicts = self._duplicates(batch, group)
        if duplicates and batch.signs:
            ids = split_ids(batch.ids)
            self.repeats.note(ids[sign] for sign in batch.signs if sign in duplicates)
        kept = without(batch, duplicates) if duplicates else batch
        if kept is not None:
            self._seal(kept, group, clashes)
        return Appended(0, batch.count - len(duplicates), len(duplicates), conflicts)

    def _duplicates(self, batch: Batch, group: _Group) -> tuple[set[int], list[bytes], int]:
        """Ordinals of the events that are here already, ids that clash, count of conflicts."""
        assert self._index is not None
        wanted = hashes(batch.ids)
        found = self._index.find(wanted)
        hits = np.flatnonzero(found >= 0)
        candidates = hits[np.argsort(found[hits], kind="stable")].tolist()  # a segment at a time
        if not candidates and not group.repeats:
            return set(), [], 0
        ids, keyed = split_ids(batch.ids), set(batch.keyed)
        duplicates: set[int] = set()
        clashes: list[bytes] = []
        conflicts = 0
        for ordinal in candidates:
            event_id = ids[ordinal]
            segment = int(found[ordinal])
            if event_id not in self._ids_of(segment):
                clashes.append(event_id)
                segment = self._index.clash(event_id)
                if segment < 0:
                    continue
            duplicates.add(ordinal)
            conflicts += ordinal in keyed and self._differs(batch, ordinal, segment)
        for ordinal, event_id in enumerate(ids) if group.repeats else ():
            if ordinal in duplicates:
                continue
            place = (batch, ordinal)
            earlier = group.rows.setdefault(event_id, place)
            if earlier is not place:
                duplicates.add(ordinal)
                conflicts += ordinal in keyed and not codec.says_the_same(
                    _row(*earlier), _row(batch, ordinal)
                )
        return duplicates, clashes, conflicts

    def _ids_of(self, segment: int) -> dict[bytes, int]:
        """The ordinals of a segment's ids."""
        held = self._ids.get(segment)
        if held is None:
            rows = self._execute(_sql["ids_of"], {"first": self._firsts[segment]})
            held = {event_id: at for at, event_id in enumerate(split_ids(rows[0][0]))}
            self._ids.keep(segment, held, len(held) * _ID_ENTRY_BYTES)
        return held

    def _differs(self, batch: Batch, ordinal: int, segment: int) -> bool:
        """Does a keyed duplicate say something else than the stored event?"""
        event_id = split_ids(batch.ids)[ordinal]
        first = self._firsts[segment]
        values = {"start": first, "through": first, "limit": 1}
        stored = Segment(0, *self._execute(_sql["read"], values)[0])
        row = codec.rows_of(stored.content)[self._ids_of(segment)[event_id]]
        return not codec.says_the_same(row, _row(batch, ordinal))

    def _seal(self, batch: Batch, group: _Group, clashes: list[bytes]) -> None:
        first = group.head.position + 1
        committed_ns = max(self._clock(), group.head.committed_ns)
        previous = group.head.hash
        digest = segment_hash(previous, first, batch.count, committed_ns, batch.ids, batch.digest)
        row = (
            first, batch.count, committed_ns, batch.time_min_ns, batch.time_max_ns, batch.codec,
            previous, digest, batch.digest, batch.ids, batch.payload,
        )  # fmt: skip
        group.sealed.append(_Sealed(group.ordinal, batch, row, clashes))
        group.head = Head(first + batch.count - 1, digest, committed_ns)
        group.ordinal += 1

    def _commit(self, group: _Group) -> None:
        connection, index = self._connection, self._index
        assert connection is not None
        assert index is not None
        connection.execute("BEGIN IMMEDIATE")
        rows = connection.execute(_sql["head"]).fetchall()
        if (rows[0][:2] if rows else (0, genesis(self.log_id))) != self.head[:2]:
            raise sqlite3.OperationalError("another process wrote to the log")
        connection.executemany(_sql["insert"], [sealed.row for sealed in group.sealed])
        crash_at("commit.before")
        connection.execute("COMMIT")
        crash_at("commit.after_before_ack")
        self.head = group.head
        for sealed in group.sealed:
            self._firsts.append(sealed.row[0])
            for event_id in sealed.clashes:
                index.remember(event_id, sealed.ordinal)
            segments: Ints = np.full(sealed.batch.count, sealed.ordinal, np.int64)
            index.add(sealed.batch.ids, segments, known_new=True)
            self._wal_bytes += len(sealed.batch.payload) + len(sealed.batch.ids) + 4096
        assert self._head_file is not None
        self._head_file.write(self.log_id, self.head.position, self.head.hash)

    def checkpoint(self) -> None:
        """Copy the WAL into the file when it has grown; called between groups.

        Readers never wait for it. Past `RESTART_BYTES` it waits up to 0.1 s for readers, so that
        the WAL can start anew even if there is always one reading.
        """
        if self._wal_bytes < CHECKPOINT_BYTES or self._connection is None:
            return
        try:
            _, pages, done = self._execute("PRAGMA wal_checkpoint(PASSIVE)")[0]
            self._wal_bytes = 0 if pages == done else CHECKPOINT_BYTES // 2
            if 4096 * int(pages) > RESTART_BYTES:
                self._execute("PRAGMA busy_timeout = 100")
                self._execute("PRAGMA wal_checkpoint(RESTART)")
                self._execute("PRAGMA busy_timeout = 5000")
        except sqlite3.Error as exc:
            _log.warning("checkpoint failed", extra={"action": "checkpoint", "error": str(exc)})

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close everything; SQLite copies the WAL if nobody else reads. May be called twice."""
        self._shut()
        if self._index is not None:
            self._index.close()
        if self._head_file is not None:
            self._head_file.close()
            self._head_file = None


def _row(batch: Batch, ordinal: int) -> bytes:
    return codec.rows_of(codec.unpack(batch.codec, batch.payload))[ordinal]

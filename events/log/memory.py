"""An event log in memory, with any number of partitions.

Events go to the partition of their trace id, as they do on a partitioned broker, so the parts of
one run may lie in several partitions. It keeps the whole contract of `EventLog`, the chain
included; only durability is missing.
"""

import hashlib
import threading
import time
import uuid
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from events import codec, identity
from events.log.chain import genesis, segment_hash
from events.log.dedup import split_ids
from events.log.port import (
    PAGE_BYTES,
    Appended,
    Batch,
    Head,
    Page,
    Recorded,
    Segment,
    within_bytes,
)
from events.schema import RawBlock


class MemoryLog:
    """`EventLog` without a disk. Safe for several threads."""

    def __init__(
        self,
        partitions: int = 1,
        key: bytes | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.log_id = str(uuid.uuid4())
        self.identity_key = key or identity.new_key()
        self.partitions = tuple(range(partitions))
        self._clock = clock
        self._lock = threading.Lock()
        self._segments: list[list[Segment]] = [[] for _ in self.partitions]
        self._rows: dict[bytes, bytes] = {}
        self._places: dict[bytes, int] = {}

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        """Append at once; see `Door.append`."""
        with self._lock:
            parts: dict[int, list[tuple[RawBlock, bytes, bytes]]] = {}
            ids, keyed = split_ids(batch.ids), set(batch.keyed)
            conflicts = 0
            blocks = codec.decode_raw_blocks(codec.unpack(batch.codec, batch.payload))
            for ordinal, (block, raw) in enumerate(codec.iter_rows(blocks)):
                row = bytes(raw)
                known = self._rows.setdefault(ids[ordinal], row)
                if known is not row:
                    conflicts += ordinal in keyed and not codec.says_the_same(known, row)
                    continue
                parts.setdefault(self._partition(row), []).append((block, ids[ordinal], row))
            stored = sum(map(len, parts.values()))
            for partition, events in parts.items():
                self._seal(partition, events, batch)
            through = max(self.head(p).position for p in self.partitions)
            places = tuple(self._places[i] for i in ids) if batch.located else ()
            return Appended(through, stored, batch.count - stored, conflicts, places)

    def append_async(self, batch: Batch) -> "Future[Appended]":
        """See `Door.append_async`; resolved when it returns."""
        future: Future[Appended] = Future()
        future.set_result(self.append(batch))
        return future

    def _partition(self, row: bytes) -> int:
        event = codec.decode_event(row)
        return zlib.crc32(event.trace_id) % len(self.partitions)

    def _seal(
        self, partition: int, events: list[tuple[RawBlock, bytes, bytes]], batch: Batch
    ) -> None:
        blocks: list[codec.EncodedBlock] = []
        at = 0
        while at < len(events):
            block, end = events[at][0], at
            while end < len(events) and events[end][0] is block:
                end += 1
            rows = [row for _, _, row in events[at:end]]
            blocks.append((block.tenant, block.received_ns, bytes(block.context), rows))
            at = end
        content = codec.encode_blocks(blocks)
        head = self.head(partition)
        first, ids = head.position + 1, b"".join(event_id for _, event_id, _ in events)
        self._places |= {event_id: first + n for n, (_, event_id, _) in enumerate(events)}
        committed_ns = max(self._clock(), head.committed_ns)
        digest = hashlib.sha256(content).digest()
        previous = head.hash
        self._segments[partition].append(
            Segment(
                partition,
                first,
                len(events),
                committed_ns,
                batch.time_min_ns,
                batch.time_max_ns,
                ids,
                previous,
                segment_hash(previous, first, len(events), committed_ns, ids, digest),
                digest,
                codec.CODEC_PLAIN,
                content,
            )
        )

    def head(self, partition: int = 0) -> Head:
        """See `LogReader.head`."""
        if not self._segments[partition]:
            return Head(0, genesis(self.log_id), 0)
        last = self._segments[partition][-1]
        return Head(last.last, last.hash, last.committed_ns)

    def read(
        self,
        partition: int,
        after: int,
        *,
        through: int | None = None,
        limit_segments: int = 64,
        limit_bytes: int = PAGE_BYTES,
    ) -> Page:
        """See `LogReader.read`."""
        at = bisect_right(self._segments[partition], after, key=lambda s: s.last)
        held = within_bytes(self._segments[partition][at : at + limit_segments], limit_bytes)
        if through is not None:
            held = tuple(s for s in held if s.first <= through)
        end = max((s.last for s in held), default=after)
        last = end if through is None else min(end, through)
        return Page(partition, after, last, held, self)

    def fetch(self, partition: int, positions: Sequence[int]) -> list[Recorded]:
        """See `LogReader.fetch`."""
        found: list[Recorded] = []
        for position in sorted(set(positions)):
            page = self.read(partition, position - 1, limit_segments=1)
            found += page.only(position).recorded()
        return found

    def hash_at(self, partition: int, position: int) -> bytes | None:
        """See `LogReader.hash_at`."""
        if position == 0:
            return genesis(self.log_id)
        segments = self.read(partition, position - 1, limit_segments=1).segments
        return segments[0].hash if segments else None

    def position_at(self, partition: int, time_ns: int) -> int:
        """See `LogReader.position_at`."""
        segments = self._segments[partition]
        at = bisect_left(segments, time_ns, key=lambda s: s.committed_ns)
        return segments[at - 1].last if at else 0

    def close(self) -> None:
        """Nothing to release."""

"""What every event log offers, and the records that pass through it.

A *position* is an event's place in its partition: dense, from 1. A *cursor* maps a partition to
a position; the embedded log has partition 0 only, and nothing may rely on order across
partitions. Positions leave the process as decimal strings.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, Protocol

from events import codec
from events.codec import EncodedBlock
from events.errors import LogDamaged
from events.identity import ID_BYTES
from events.schema import Block, Context, Event, RawBlock

Cursor = Mapping[int, int]

PAGE_BYTES: Final = 32 << 20
"""Most content that is read at once: spans of language models have 128 KiB and more each."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a receiver hands to the log: one segment in the making.

    `ids` packs 16 bytes an event in log order; `payload` is the content under `codec`;
    `digest` is SHA-256 of the uncompressed content. `keyed` lists the ordinals of the events
    whose id stands for a sender's idempotency key instead of the content. `located` asks for the
    position of each event, for those who append few and want to read them again. `tenant` is
    whose events these are, empty where they are of several: whose turn it is at the door. `signs`
    are the ordinals of log records that tell of an attempt: that they arrive again counts too.
    """

    ids: bytes
    payload: bytes
    digest: bytes
    count: int
    content_bytes: int
    time_min_ns: int
    time_max_ns: int
    codec: int = codec.CODEC_ZSTD
    keyed: tuple[int, ...] = ()
    located: bool = False
    tenant: str = ""
    signs: tuple[int, ...] = ()

    @property
    def size_bytes(self) -> int:
        """What it holds in memory while it waits."""
        return len(self.payload) + len(self.ids)

    @classmethod
    def of(
        cls,
        blocks: Sequence[EncodedBlock],
        ids: Sequence[bytes],
        *,
        time_min_ns: int,
        time_max_ns: int,
        keyed: Iterable[int] = (),
        signs: Iterable[int] = (),
    ) -> "Batch":
        """The batch of encoded blocks; `ids` are those of their rows, in order."""
        content = codec.encode_blocks(blocks)
        tenants = {block[0] for block in blocks}
        return cls(
            ids=b"".join(ids),
            payload=codec.pack(content),
            digest=hashlib.sha256(content).digest(),
            count=len(ids),
            content_bytes=len(content),
            time_min_ns=time_min_ns,
            time_max_ns=time_max_ns,
            keyed=tuple(keyed),
            tenant=tenants.pop() if len(tenants) == 1 else "",
            signs=tuple(signs),
        )


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch. Every event of it, duplicates included, is at or before `through`.

    `positions` are those of its events, in order, if the batch asked for them: a duplicate stands
    where it was stored first.
    """

    through: int
    stored: int
    duplicates: int
    conflicts: int = 0
    positions: tuple[int, ...] = ()


class Head(NamedTuple):
    """The end of a partition: the last position (0: empty), its segment's hash, commit time."""

    position: int
    hash: bytes
    committed_ns: int


class Recorded(NamedTuple):
    """One event with everything known about it."""

    partition: int
    position: int
    event_id: bytes
    tenant: str
    received_ns: int
    committed_ns: int
    context: Context
    event: Event


@dataclass(frozen=True)
class Segment:
    """One committed group of events, as read from the log.

    `first` to `last` are its positions. The content is decoded and its digest checked when
    first asked for; LogDamaged is raised if it is not what was appended.
    """

    partition: int
    first: int
    count: int
    committed_ns: int
    time_min_ns: int
    time_max_ns: int
    ids: bytes
    previous_hash: bytes
    hash: bytes
    digest: bytes
    codec: int
    payload: bytes

    @property
    def last(self) -> int:
        return self.first + self.count - 1

    @cached_property
    def content(self) -> bytes:
        try:
            content = codec.unpack(self.codec, self.payload)
        except LogDamaged as exc:
            raise self._damaged(str(exc)) from exc
        if hashlib.sha256(content).digest() != self.digest:
            raise self._damaged("the stored bytes were altered")
        return content

    @property
    def content_bytes(self) -> int:
        """Size of the content, as the payload says; it is not decompressed for this."""
        return codec.content_bytes(self.codec, self.payload)

    def _damaged(self, what: str) -> LogDamaged:
        return LogDamaged(f"segment at position {self.first}: {what}", position=self.first)

    def blocks(self) -> list[Block]:
        """Every block, decoded whole."""
        return codec.decode_blocks(self.content)

    def raw_blocks(self) -> list[RawBlock]:
        """Every block; contexts and events left as bytes. Made once."""
        return self._raw_blocks

    @cached_property
    def _raw_blocks(self) -> list[RawBlock]:
        return codec.decode_raw_blocks(self.content)

    def event_id(self, position: int) -> bytes:
        offset = (position - self.first) * ID_BYTES
        return self.ids[offset : offset + ID_BYTES]

    def recorded_at(self, positions: Sequence[int]) -> Iterator[Recorded]:
        """The events at some positions of this segment, ascending; no other is decoded."""
        first = self.first
        for block in self.raw_blocks():
            held = [p for p in positions if first <= p < first + len(block.events)]
            context = codec.decode_context(block.context) if held else None
            for position in held:
                assert context is not None
                event = codec.decode_event(block.events[position - first])
                yield Recorded(
                    self.partition, position, self.event_id(position), block.tenant,
                    block.received_ns, self.committed_ns, context, event,
                )  # fmt: skip
            first += len(block.events)

    def recorded(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        """Each event after `after`, up to and with `through`, in log order; decoded one by one."""
        return self._each(after, self.last if through is None else through, None)

    def decoded(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        """As `recorded`; each event is decoded once, whoever asks, and kept with the segment."""
        return self._each(after, self.last if through is None else through, self._decoded)

    @cached_property
    def _decoded(self) -> dict[int, Recorded]:
        return {}

    def _each(self, after: int, end: int, kept: dict[int, Recorded] | None) -> Iterator[Recorded]:
        first = self.first
        for block in self.raw_blocks():
            wanted = block.events[max(after + 1 - first, 0) : max(end + 1 - first, 0)]
            context: Context | None = None
            for position, row in enumerate(wanted, max(after + 1, first)):
                event = None if kept is None else kept.get(position)
                if event is None:
                    context = context or codec.decode_context(block.context)
                    event = Recorded(
                        self.partition, position, self.event_id(position), block.tenant,
                        block.received_ns, self.committed_ns, context, codec.decode_event(row),
                    )  # fmt: skip
                    if kept is not None:
                        kept[position] = event
                yield event
            first += len(block.events)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a partition: the events after `after`, up to and with `through`.

    Whole segments are carried; the first and last may reach beyond the bounds, and only events
    with `after < position <= through` count. `through` moves even if nothing is in it. `log` is
    where it was read, for those who need an earlier event again.
    """

    partition: int
    after: int
    through: int
    segments: tuple[Segment, ...]
    log: "LogReader | None" = field(default=None, compare=False, repr=False)

    @property
    def count(self) -> int:
        return self.through - self.after

    @property
    def content_bytes(self) -> int:
        """Size of its segments' content."""
        return sum(segment.content_bytes for segment in self.segments)

    def recorded(self) -> Iterator[Recorded]:
        """Each event of the page, in log order."""
        for segment in self.segments:
            yield from segment.recorded(self.after, self.through)

    def decoded(self) -> Iterator[Recorded]:
        """Each event of the page, in log order, decoded once for all projections that ask."""
        for segment in self.segments:
            yield from segment.decoded(self.after, self.through)

    def only(self, position: int) -> "Page":
        """The page of one single event of this page."""
        held = tuple(s for s in self.segments if s.first <= position <= s.last)
        return Page(self.partition, position - 1, position, held, self.log)


def within_bytes(segments: Iterable[Segment], limit_bytes: int) -> tuple[Segment, ...]:
    """The first segments, at least one, with no more content than `limit_bytes` together.

    No more than one segment beyond the last is taken from `segments`.
    """
    held: list[Segment] = []
    left = limit_bytes
    for segment in segments:
        left -= segment.content_bytes
        if held and left < 0:
            break
        held.append(segment)
    return tuple(held)


class LogReader(Protocol):
    """Reading a log. Safe to use from one thread at a time; opens no long transaction."""

    log_id: str
    partitions: tuple[int, ...]

    def head(self, partition: int = 0) -> Head:
        """The last committed position and its segment's hash."""
        ...

    def read(
        self,
        partition: int,
        after: int,
        *,
        through: int | None = None,
        limit_segments: int = 64,
        limit_bytes: int = PAGE_BYTES,
    ) -> Page:
        """Events after `after`, oldest first; `page.through == after` at the head.

        At most `limit_segments` segments, and no more than `limit_bytes` of content unless the
        first segment alone has more.
        """
        ...

    def fetch(self, partition: int, positions: Sequence[int]) -> list[Recorded]:
        """The events at these positions, ordered by position; unknown ones are left out."""
        ...

    def hash_at(self, partition: int, position: int) -> bytes | None:
        """Hash of the segment that holds `position`; at 0 the chain's start; None past the head."""
        ...

    def position_at(self, partition: int, time_ns: int) -> int:
        """The last position committed before `time_ns`; 0 if none."""
        ...

    def close(self) -> None: ...


class Door(Protocol):
    """Where events are appended: in the writer's process, or through its socket."""

    identity_key: bytes
    log_id: str

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        """Append durably; returns after the commit.

        Raises:
            QueueFull: the queue's bound in bytes is reached.
            Closing: the writer is draining.
            CommitFailed: nothing was stored; the same batch may be sent again.
        """
        ...

    def append_async(self, batch: Batch) -> "Future[Appended]":
        """Like `append`, without waiting: the future resolves after the commit.

        Raises:
            QueueFull: at once, when the queue's bound in bytes is reached.
            Closing: at once, when the writer is draining.
        """
        ...


class EventLog(LogReader, Door, Protocol):
    """A whole log: read and append."""

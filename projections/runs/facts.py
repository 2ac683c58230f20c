"""The facts of a run: what its spans, log records and our own events say of its attempts.

A run's facts are a set, by the first bytes of the event id (`FACT_ID`); derive() turns them into
attempts. Numbers such as `source_no` refer to the registry of the same views file. Stored as
msgpack with the run; what few facts say stands last, so that the stored form of most ends before
it.
"""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final, TypeVar

import msgspec

from projections.runs.more import More
from projections.runs.words import COMPLETED

_SECOND_NS: Final = 1_000_000_000
_BIN8: Final = 0xC4

FACT_ID: Final = slice(8)
"""So much of an event's id tells a fact from the others of its run: ids are keyed digests."""


class SpanFact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span that names a task. `end_ns` 0: it runs. `number` is as said, from 0; None: not said.

    `queues`: it only put the task into a queue (kind PRODUCER). `error`: 0 none, 1 from the span's
    status, 2 from an exception event.
    """

    event_id: bytes
    trace_id: bytes
    span_id: bytes
    position: int
    start_ns: int
    end_ns: int
    source_no: int
    number: int | None
    max_attempts: int | None
    name: str | None
    more: More | None
    parent_span_id: bytes = b""
    status: int = COMPLETED
    error: int = 0
    error_no: int | None = None
    message_no: int | None = None
    group_id: str | None = None
    queued_ns: int | None = None
    queues: bool = False
    partition: int = 0


class LogKind(IntEnum):
    """What a log record says of its span."""

    STARTED = 0
    HEARTBEAT = 1
    PROGRESS = 2
    ENDED = 3
    EXCEPTION = 4


class LogFact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A log record about an attempt. `loose`: it names a span but no task."""

    event_id: bytes
    partition: int
    position: int
    kind: int
    loose: bool
    trace_id: bytes
    span_id: bytes
    time_ns: int
    number: int | None
    status: int | None
    source_no: int
    error_no: int | None
    message_no: int | None
    progress: float | None
    name: str | None
    group_id: str | None
    queued_ns: int | None
    max_attempts: int | None
    more: More | None


class AbandonFact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Our own fact: an attempt stopped sending heartbeats.

    It is the attempt of `last_heartbeat_id`, its last sign of life; of the span, if there is one;
    else the attempt with this number (0: not told). `signs` is how many signs of life were known
    of it (0: not told): one more, and it is not abandoned.
    """

    event_id: bytes
    trace_id: bytes
    span_id: bytes
    time_ns: int
    last_heartbeat_ns: int
    error_no: int
    last_heartbeat_id: bytes = b""
    number: int = 0
    signs: int = 0


class RunFacts(msgspec.Struct, array_like=True, gc=False):
    """Everything known of one run."""

    spans: list[SpanFact] = []
    logs: list[LogFact] = []
    abandoned: list[AbandonFact] = []

    def __len__(self) -> int:
        return len(self.spans) + len(self.logs) + len(self.abandoned)

    def all(self) -> Iterator[SpanFact | LogFact | AbandonFact]:
        """Every fact."""
        yield from self.spans
        yield from self.logs
        yield from self.abandoned

    def add(self, fact: "SpanFact | LogFact | AbandonFact") -> None:
        """Take in one fact more."""
        if isinstance(fact, SpanFact):
            self.spans.append(fact)
        elif isinstance(fact, LogFact):
            self.logs.append(fact)
        else:
            self.abandoned.append(fact)

    def extend(self, more: "RunFacts") -> None:
        """Take in more facts."""
        self.spans += more.spans
        self.logs += more.logs
        self.abandoned += more.abandoned


_Fact = TypeVar("_Fact", SpanFact, LogFact, AbandonFact)

Fact = SpanFact | LogFact | AbandonFact

encode_fact = _encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RunFacts).decode
decode_span_fact = msgspec.msgpack.Decoder(SpanFact).decode
decode_log_fact = msgspec.msgpack.Decoder(LogFact).decode
decode_abandon_fact = msgspec.msgpack.Decoder(AbandonFact).decode


class _Alone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The one span of a run, as it is stored: most runs have no other.

    It has at most 15 fields: so its first byte is its length, and the second tells it from others.
    `ids` are its three, `late_ns` is how long it started after what its run's row says already.
    """

    ids: bytes
    late_ns: int
    lasted_s: int
    lasted_ns: int
    position: int
    source_no: int
    number: int | None
    max_attempts: int | None
    name: str | None
    more: More | None
    parent_span_id: bytes = b""
    status: int = COMPLETED
    error: int = 0
    error_no: int | None = None
    message_no: int | None = None

    def span(self, last_started_ns: int) -> SpanFact:
        """The fact."""
        ids, start_ns = self.ids, last_started_ns + self.late_ns
        return SpanFact(
            ids[:8], ids[8:24], ids[24:], self.position, start_ns,
            start_ns + self.lasted_s * _SECOND_NS + self.lasted_ns, self.source_no, self.number,
            self.max_attempts, self.name, self.more, self.parent_span_id, self.status, self.error,
            self.error_no, self.message_no,
        )  # fmt: skip


_decode_alone = msgspec.msgpack.Decoder(_Alone).decode


def decode_facts(stored: bytes, last_started_ns: int | None) -> RunFacts:
    """The facts of which `encode_facts` made this, beside the same time."""
    if stored[1] != _BIN8:
        return _decode(stored)
    return RunFacts([_decode_alone(stored).span(last_started_ns or 0)], [], [])


def encode_facts(facts: RunFacts, last_started_ns: int | None) -> bytes:
    """The stored form, of which `decode_facts` makes them again.

    That of a run of one span, as most are, leaves out the time that stands beside it, and ends
    where all that follows has its default.
    """
    if len(facts.spans) != 1 or facts.logs or facts.abandoned:
        return _encode(facts)
    span = facts.spans[0]
    ids = span.event_id + span.trace_id + span.span_id
    if (
        span.queued_ns is not None or span.group_id is not None or span.queues or span.partition
        or not span.end_ns or len(ids) != 32 or len(span.trace_id) != 16
        or len(span.span_id) != 8
    ):  # fmt: skip
        return _encode(((span,),))
    lasted_s, lasted_ns = divmod(span.end_ns - span.start_ns, _SECOND_NS)
    told: tuple[object, ...] = (
        ids, span.start_ns - (last_started_ns or 0), lasted_s, lasted_ns, span.position,
        span.source_no, span.number, span.max_attempts, span.name, span.more,
    )  # fmt: skip
    rest = span.error_no, span.message_no
    if span.status != COMPLETED or span.parent_span_id or span.error or rest != (None, None):
        told += (span.parent_span_id, span.status, span.error, *rest)
    return _encode(told)


def added_to(known: set[bytes], new: RunFacts) -> RunFacts:
    """Those of `new` whose event ids are not known, and from now on are."""

    def added(facts: Iterable[_Fact]) -> list[_Fact]:
        fresh = []
        for fact in facts:
            if fact.event_id not in known:
                known.add(fact.event_id)
                fresh.append(fact)
        return fresh

    return RunFacts(added(new.spans), added(new.logs), added(new.abandoned))


def without(facts: RunFacts, ids: set[bytes]) -> RunFacts:
    """Those of some facts that have other ids."""
    return RunFacts(
        [fact for fact in facts.spans if fact.event_id not in ids],
        [fact for fact in facts.logs if fact.event_id not in ids],
        [fact for fact in facts.abandoned if fact.event_id not in ids],
    )

"""`events`: the log as it grows, as server-sent events.

A stream reads the log at its client's pace, about a megabyte at a time, and keeps nothing but its
place between two reads, so a slow client costs no memory. A client that falls more than `backlog`
events behind is moved on: an event `gap` names the positions that it misses. `id` is the position,
so a client that connects again with `Last-Event-ID` misses nothing within its backlog.
"""

import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Final

import anyio
import msgspec
from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from msgspec import Meta

from events.kinds import FILTER, is_of_kind, kind_of
from events.log.port import Recorded
from projections.query import ids
from projections.query.events import event_out, task_of
from projections.query.log import Log
from projections.query.parameters import Position, Text, parse
from projections.query.refusals import BadQuestion, BeyondHead
from service.access.tokens import TokenStore
from service.api.asking import AnyRequest, is_allowed, parameters, tenant_of
from service.api.feed import Feed
from service.api.recent import Recent
from service.api.routes import PREFIX

PATH: Final = "events"
HEARTBEAT_S: Final = 15.0
_EVENTS_AT_ONCE: Final = 256
_BYTES_AT_ONCE: Final = 1 << 20
_READS_AT_ONCE: Final = 4
"""Threads that may hold a segment each, whatever number of streams there is."""
_READ_S: Final = 0.1
_RECHECK_S: Final = 1.0
"""A stream ends at most so long after its token was revoked."""


class EventsQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the live tail."""

    after: (
        Annotated[
            Position,
            Meta(description="Start after this position; at the head if absent. "
                 "A `Last-Event-ID` header goes before it."),
        ]
        | None
    ) = None  # fmt: skip
    kind: (
        Annotated[
            str,
            Meta(
                pattern=FILTER, max_length=300,
                description="Only events of this kind: `span`, `log`, `attempt_abandoned`, `fact`, "
                "`unknown`, or a fact's own kind.",
            ),
        ]
        | None
    ) = None  # fmt: skip
    task: Annotated[Text, Meta(description="Only events that name this task.")] | None = None
    trace: Annotated[Text, Meta(description="Only of this trace.")] | None = None
    backlog: Annotated[
        int,
        Meta(ge=1, le=10_000_000, description="Fall so many events behind before a gap."),
    ] = 100_000
    heartbeat_s: Annotated[
        float, Meta(ge=0.2, le=60, description="A comment after so many seconds of silence.")
    ] = HEARTBEAT_S


class Events:
    """Serves the live tail."""

    def __init__(self, log: Log, feed: Feed, tokens: TokenStore) -> None:
        self._recent = Recent(log)
        self._feed = feed
        self._tokens = tokens
        self._reads = anyio.CapacityLimiter(_READS_AT_ONCE)

    def route(self) -> HTTPRouteHandler:
        """The handler."""

        async def events(request: Request[Any, Any, Any]) -> Stream:
            return await self._open(request)

        return get(f"{PREFIX}/{PATH}", name=PATH)(events)

    async def _open(self, request: AnyRequest) -> Stream:
        tenant = await tenant_of(request, self._tokens)
        question = parse(EventsQuestion, parameters(request))
        head = await self._feed.head()
        after = start_of(request, question.after, head)
        if after > head:
            raise BeyondHead(after, head)
        tail = Tail(self._recent, tenant, question, after)
        return self._feed.stream(tenant, self._frames(request, tenant, question, tail))

    async def _frames(
        self, request: AnyRequest, tenant: str, question: EventsQuestion, tail: "Tail"
    ) -> AsyncIterator[bytes]:
        quiet_s = 0.0
        while not self._feed.closed and await is_allowed(request, self._tokens, tenant):
            wait_s = min(question.heartbeat_s - quiet_s, _RECHECK_S)
            if not await self._feed.beyond(tail.position, wait_s):
                quiet_s += wait_s
                if quiet_s >= question.heartbeat_s and not self._feed.closed:
                    quiet_s = 0.0
                    yield b": heartbeat\n\n"
                continue
            quiet_s = 0.0
            skipped = tail.skip(await self._feed.head())
            if skipped:
                yield skipped
            text = await anyio.to_thread.run_sync(tail.read, limiter=self._reads)
            if text:
                yield text


def start_of(request: AnyRequest, after: str | None, head: int) -> int:
    """The position after which a stream starts: a `Last-Event-ID`, else `after`, else the head."""
    last = request.headers.get("last-event-id", "").strip()
    if last:
        if not (last.isascii() and last.isdigit() and len(last) <= 19):
            raise BadQuestion([("last-event-id", "not a position")])
        return int(last)
    return head if after is None else int(after)


class Tail:
    """One client's place in the log; used by one thread at a time."""

    def __init__(self, recent: Recent, tenant: str, question: EventsQuestion, after: int) -> None:
        self.position = after
        self._recent = recent
        self._tenant = tenant
        self._question = question
        self._traces = ids.trace_ids(question.trace, "trace") if question.trace else ()

    def skip(self, head: int) -> bytes:
        """Move on if the client is too far behind, and say what it misses."""
        target = head - self._question.backlog
        if target <= self.position:
            return b""
        gap = {"from": str(self.position + 1), "to": str(target)}
        self.position = target
        return frame_of("gap", target, gap)

    def read(self) -> bytes:
        """The frames of the next events that pass the filters; a part of what there is."""
        frames: list[bytes] = []
        size = 0
        ends = time.monotonic() + _READ_S
        for recorded in self._events():
            self.position = recorded.position
            if self._passes(recorded):
                frame = frame_of(kind_of(recorded.event), self.position, event_out(recorded))
                frames.append(frame)
                size += len(frame)
            if len(frames) >= _EVENTS_AT_ONCE or size >= _BYTES_AT_ONCE or time.monotonic() >= ends:
                break
        return b"".join(frames)

    def _events(self) -> Iterator[Recorded]:
        """The events after this place, to the head of the moment."""
        while (page := self._recent.after(self.position)).through > self.position:
            yield from page.recorded()

    def _passes(self, recorded: Recorded) -> bool:
        event, asked = recorded.event, self._question
        return (
            recorded.tenant == self._tenant
            and (asked.kind is None or is_of_kind(event, asked.kind))
            and (not self._traces or event.trace_id in self._traces)
            and (asked.task is None or task_of(event) == asked.task)
        )


def frame_of(event: str, position: int, data: Any) -> bytes:
    """One message of a stream."""
    return b"event: %b\nid: %d\ndata: %b\n\n" % (
        event.encode(),
        position,
        msgspec.json.encode(data),
    )

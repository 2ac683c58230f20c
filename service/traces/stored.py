"""Whole traces as OTLP, from the log, and searches over them. Safe for any number of threads."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from events.log.port import LogReader, Page, Recorded
from events.schema import Context, Span
from projections.query.listing import Budget
from projections.query.log import Log
from projections.query.reading import Views
from projections.views.spans.search import Query, Search, is_final
from projections.views.traces.fold import positions
from service.forward.encode import Frame, Item, encode_frame, encode_span, frame_request

CHUNK_BYTES: Final = 2 << 20
"""A chunk is no larger, unless one span is: clients take 4 MiB by default."""
_FETCHED: Final = 256
UNINDEXED: Final = 50_000
"""Events behind what `traces` has seen, in which a trace is looked for, at most: the newest."""


class Found(NamedTuple):
    """A trace that was found, and the earliest start and latest end of the spans that fit."""

    trace_id: bytes
    start_ns: int
    end_ns: int


class StoredTraces:
    """The traces of a data folder.

    Args:
        budget_s: the time that a search may take.
        unindexed: events that are looked through behind what is indexed.
    """

    def __init__(self, data: Path, budget_s: float, *, unindexed: int = UNINDEXED) -> None:
        self._views = Views(data)
        self._log = Log(data)
        self._budget_s = budget_s
        self._unindexed = unindexed

    @contextlib.contextmanager
    def searching(self) -> Iterator[Search]:
        """The index, within one read transaction.

        Raises:
            SearchOff: it is switched off.
            Unavailable: there are no views yet.
        """
        with self._views.read() as connection, self._log.read() as reader:
            yield Search(connection, reader, Budget(self._budget_s))

    @contextlib.contextmanager
    def reading(self) -> Iterator[LogReader]:
        """The log."""
        with self._log.read() as reader:
            yield reader

    def find(self, query: Query, limit: int) -> list[Found]:
        """Traces with a span that fits, at most `limit`, that of the newest span first.

        Raises:
            SearchOff, Unavailable: as `searching`.
            NotAllSeen: the time was over before anything was found.
        """
        found: dict[bytes, Found] = {}
        with self.searching() as search:
            for recorded in search.spans(query):
                span = recorded.event
                assert isinstance(span, Span)
                held = found.get(span.trace_id)
                if held is None and len(found) >= limit:
                    break
                start_ns, end_ns = span.start_ns, span.end_ns
                if held is not None:
                    start_ns, end_ns = min(held.start_ns, start_ns), max(held.end_ns, end_ns)
                found[span.trace_id] = Found(span.trace_id, start_ns, end_ns)
            if not found:
                search.require_seen()
        return list(found.values())

    def spans(self, tenant: str, trace_id: bytes) -> Iterator[Recorded]:
        """The spans of one trace as they were stored, in this order; none of an unknown one."""
        with self._views.read() as connection:
            stored = positions(connection, tenant, trace_id)
            (seen,) = connection.execute(_SEEN).fetchone()
        with self._log.read() as reader:
            for at in range(0, len(stored), _FETCHED):
                places = stored[at : at + _FETCHED]
                yield from _of(reader.fetch(0, places), tenant, trace_id)
            after = max(seen, reader.head().position - self._unindexed)
            yield from _of(_behind(reader, after, tenant, trace_id), tenant, trace_id)

    def is_behind(self) -> bool:
        """Whether more is not indexed yet than is looked through: a trace may lack spans."""
        with self._views.read() as connection:
            (seen,) = connection.execute(_SEEN).fetchone()
        with self._log.read() as reader:
            return reader.head().position - int(seen) > self._unindexed

    def chunks(self, tenant: str, trace_id: bytes) -> Iterator[bytes]:
        """One trace as `TracesData` messages of at most about `CHUNK_BYTES`."""
        frames = Frames()
        items: list[Item] = []
        size = 0
        for recorded in self.spans(tenant, trace_id):
            item = frames.item(recorded)
            if items and size + item.size_bytes > CHUNK_BYTES:
                yield frame_request(items)
                items, size = [], 0
            items.append(item)
            size += item.size_bytes
        if items:
            yield frame_request(items)

    def close(self) -> None:
        """Close every file."""
        self._views.close()
        self._log.close()


_SEEN: Final = "SELECT coalesce(min(position), 0) FROM checkpoint WHERE projection = 'traces'"


class Frames:
    """Encodes spans; a resource and scope that come again are encoded once."""

    def __init__(self) -> None:
        self._context: Context | None = None
        self._frame = Frame(b"", b"")

    def item(self, recorded: Recorded) -> Item:
        """A span, ready to be framed."""
        if recorded.context != self._context:
            self._context = recorded.context
            self._frame = encode_frame("traces", recorded.context)
        assert isinstance(recorded.event, Span)
        return Item(recorded.position, self._frame, encode_span(recorded.event))


def _behind(reader: LogReader, after: int, tenant: str, trace_id: bytes) -> Iterator[Recorded]:
    """What is stored after a position and may be of the trace.

    Its id is sought in the bytes: decoding is what costs, and most events are of other traces.
    """
    at, head = after, reader.head().position
    while at < head:
        page = reader.read(0, at, through=head)
        if page.through == at:
            return
        places = [place for place in _holding(page, tenant, trace_id) if place > at]
        yield from reader.fetch(0, places)
        at = page.through


def _holding(page: Page, tenant: str, trace_id: bytes) -> Iterator[int]:
    """Positions of a tenant's events in whose bytes an id stands."""
    for segment in page.segments:
        first = segment.first
        for block in segment.raw_blocks():
            if block.tenant == tenant:
                for place, row in enumerate(block.events, first):
                    if trace_id in bytes(row) and place <= page.through:
                        yield place
            first += len(block.events)


def _of(
    events: Iterable[Recorded] | Sequence[Recorded], tenant: str, trace_id: bytes
) -> Iterator[Recorded]:
    for recorded in events:
        span = recorded.event
        is_of_it = isinstance(span, Span) and span.trace_id == trace_id and is_final(span)
        if is_of_it and recorded.tenant == tenant:
            yield recorded

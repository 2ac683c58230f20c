"""Finding traces by their spans: candidates from the index, compared with the log, newest first.

What the index has not yet (the last, open block, and whatever it lags) is read in the log itself,
at most `TAIL_EVENTS` of it. A search ends when it has enough traces, or when its time is over: then
it has found the newest of them, and says so (`Search.is_cut`).
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

import msgspec
import numpy as np

from events import names
from events.errors import Rejected
from events.log.port import LogReader, Recorded
from events.schema import Context, Span
from projections.query.listing import Budget
from projections.views.spans import filters
from projections.views.spans.blocks import Flags, Postings, classes_of, steps_of
from projections.views.spans.filters import SQL
from projections.views.spans.fold import OFF
from projections.views.spans.rows import Ints, Tokens
from projections.views.spans.shape import SHAPE, Shape, content_no
from projections.views.spans.tokens import service_of

TAIL_EVENTS: Final = 8_192
END_NS: Final = (1 << 62) - 1
_FIRST_FETCH: Final = 32
_MOST_FETCHED: Final = 512
_OFF: Final = (
    "the search index is switched off; start the service with `search_index` to find spans"
)


class SearchOff(Rejected):
    """Nothing is indexed here, as the settings say."""


class NotAllSeen(Rejected):
    """A search found nothing before its time was over: it cannot be said that there is nothing."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"nothing was found among the newest spans that {seconds:g} s were enough for, and not "
            "all were looked at; ask for a shorter time, or name more that the span has "
            "(query_budget_s gives searches more time)"
        )


class Query(NamedTuple):
    """What one span must be.

    `tokens` are sets of alternatives: the span has one of each set. They are looked up from the
    last to the first, so those that few spans have stand last. Times are of its start, both
    included, durations too. `matches` decides in the end.
    """

    tenant: str
    tokens: tuple[tuple[int, ...], ...]
    matches: Callable[[Context, Span], bool]
    first_ns: int = 0
    last_ns: int = END_NS
    shortest_ns: int = 0
    longest_ns: int = END_NS

    def fits(self, recorded: Recorded) -> bool:
        """Whether an event is a span that is looked for; snapshots of one that runs are none."""
        span = recorded.event
        return (
            isinstance(span, Span)
            and recorded.tenant == self.tenant
            and self.first_ns <= span.start_ns <= self.last_ns
            and self.shortest_ns <= max(span.end_ns - span.start_ns, 0) <= self.longest_ns
            and is_final(span)
            and self.matches(recorded.context, span)
        )


class Operation(NamedTuple):
    """A name of spans, with their kind as OTLP numbers it."""

    name: str
    kind: int


def is_final(span: Span) -> bool:
    """Whether a span has ended: snapshots and pending placeholders are no spans for readers."""
    pending = span.attributes.get(names.LOGFIRE_SPAN_TYPE) == names.LOGFIRE_PENDING
    return span.end_ns != 0 and not pending


class Search:
    """Questions to the index of one views file, within one read transaction.

    Raises:
        SearchOff: the index is switched off.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        reader: LogReader,
        budget: Budget,
        shape: Shape = SHAPE,
        partition: int = 0,
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._budget = budget
        self.shape = shape
        self._partition = partition
        self._at = 0
        self.is_cut = False
        """Whether a search ended because its time was over, before it had seen all blocks."""
        held = connection.execute(SQL["configuration"]).fetchone()
        if held is not None and msgspec.json.decode(held[0]).get(OFF):
            raise SearchOff(_OFF)

    def services(self, tenant: str) -> list[str]:
        """The names of a tenant's services, in order."""
        found = {name for (name,) in self._connection.execute(SQL["services"], (tenant,))}
        found |= {service_of(e.context) for e in self._tail() if _is_span(e, tenant)}
        return sorted(found - {""})

    def operations(self, tenant: str, service: str) -> list[Operation]:
        """The names and kinds of a service's spans, in order."""
        rows = self._connection.execute(SQL["operations"], (tenant, service))
        found = {Operation(*row) for row in rows}
        for recorded in self._tail():
            if _is_span(recorded, tenant) and service_of(recorded.context) == service:
                assert isinstance(recorded.event, Span)
                found.add(Operation(recorded.event.name, recorded.event.kind))
        return sorted(found)

    def spans(self, query: Query) -> Iterator[Recorded]:
        """The spans that fit, the last stored first, of what is found until the time is over.

        What waits to be compared then is less than `_MOST_FETCHED` spans, and is still compared.
        """
        yield from reversed([e for e in self._tail() if query.fits(e)])
        step = _FIRST_FETCH
        waiting = np.empty(0, np.int64)
        for number, places in enumerate(self.candidates(query)):
            if number and self._budget.is_over():
                self.is_cut = True
                break
            waiting = np.concatenate((waiting, places))
            while len(waiting) >= step:
                yield from self._fitting(query, waiting[:step])
                waiting, step = waiting[step:], min(step * 2, _MOST_FETCHED)
        while len(waiting):
            yield from self._fitting(query, waiting[:step])
            waiting = waiting[step:]

    def _fitting(self, query: Query, positions: Ints) -> Iterator[Recorded]:
        found = self._reader.fetch(self._partition, positions.tolist())
        return (recorded for recorded in reversed(found) if query.fits(recorded))

    def require_seen(self) -> None:
        """Let nothing be answered only where there is nothing.

        Raises:
            NotAllSeen: the search ended before it had seen all.
        """
        if self.is_cut:
            raise NotAllSeen(self._budget.seconds)

    def unread_ns(self, query: Query, position: int = 0) -> int:
        """The latest start of spans of a query's time that the last search may not have come to:
        those in the block that it ended in, and in all before it. -1: there are none.

        Args:
            position: of the last span that was taken from it, if its reader has enough; a search
                is some blocks ahead of its reader.
        """
        at = (position - 1) // self.shape.events if position else self._at
        values = {
            "partition": self._partition, "block_no": at, "first_ns": query.first_ns,
            "last_ns": query.last_ns,
        }  # fmt: skip
        (latest_ns,) = self._connection.execute(SQL["latest_until"], values).fetchone()
        return -1 if latest_ns is None else min(int(latest_ns), query.last_ns)

    def head(self) -> int:
        """The last position of the log."""
        return self._reader.head(self._partition).position

    def fetch(self, positions: Sequence[int]) -> list[Recorded]:
        """The events at some positions."""
        return self._reader.fetch(self._partition, positions)

    def having(self, number: int, wanted: int) -> Flags:
        """Which places of a block have a token."""
        key = content_no(self._partition, number)
        row = self._connection.execute(SQL["tokens"], (key,)).fetchone()
        tokens = np.frombuffer(row[0] if row else b"", "<u4")
        if not _has_any(tokens, (wanted,)):
            return np.zeros(self.shape.events, np.bool_)
        (stored,) = self._connection.execute(SQL["postings"], (key,)).fetchone()
        return Postings(tokens, stored, self.shape.events).having(wanted)

    def indexed(self) -> int:
        """The last position of the last whole block."""
        row = self._connection.execute(SQL["position"], (self._partition,)).fetchone()
        return int(row[0]) // self.shape.events * self.shape.events if row else 0

    def _tail(self) -> Iterator[Recorded]:
        """The events behind the last whole block, as they were stored."""
        head = self._reader.head(self._partition).position
        at = max(self.indexed(), head - TAIL_EVENTS)
        while at < head:
            page = self._reader.read(self._partition, at, through=head)
            if page.through == at:
                return
            yield from page.recorded()
            at = page.through

    def candidates(self, query: Query) -> Iterator[Ints]:
        """Positions of spans that may fit, the newest first, some of a block at a time."""
        values = {
            "partition": self._partition, "first_ns": query.first_ns, "last_ns": query.last_ns,
            "shortest_ns": query.shortest_ns,
        }  # fmt: skip
        blocks = [number for (number,) in self._connection.execute(SQL["blocks"], values)]
        held = dict(self._connection.execute(SQL["filters"], (self._partition,)))
        size = self.shape.blocks
        for filter_no, numbers in groupby(blocks, key=lambda number: number // size):
            bits = self._passing(query, filter_no, held.get(filter_no))
            for number in numbers:
                if bits >> (number % size) & 1:
                    self._at = number
                    yield self._of_block(query, number)

    def _passing(self, query: Query, filter_no: int, words: int | None) -> int:
        """A bit for each block of a filter that may have a span that fits."""
        bits = (1 << self.shape.blocks) - 1
        for alternatives in reversed(query.tokens) if words is not None else ():
            assert words is not None
            found = 0
            for token in alternatives:
                found |= filters.passing(self._connection, self._partition, filter_no, words, token)
            bits &= found
            if not bits:
                break
        return bits

    def _of_block(self, query: Query, number: int) -> Ints:
        key = content_no(self._partition, number)
        (stored,) = self._connection.execute(SQL["tokens"], (key,)).fetchone()
        tokens = np.frombuffer(stored, "<u4")
        if not all(_has_any(tokens, alternatives) for alternatives in reversed(query.tokens)):
            return np.empty(0, np.int64)
        (stored,) = self._connection.execute(SQL["postings"], (key,)).fetchone()
        postings = Postings(tokens, stored, self.shape.events)
        bounds = (self._partition, number)
        first_ns, last_ns = self._connection.execute(SQL["block"], bounds).fetchone()
        flags = _in_time(query, postings, first_ns, last_ns)
        for alternatives in query.tokens:
            flags &= np.logical_or.reduce([postings.having(token) for token in alternatives])
        places: Ints = np.flatnonzero(flags)[::-1] + (number * self.shape.events + 1)
        return places


def _in_time(query: Query, postings: Postings, first_ns: int, last_ns: int) -> Flags:
    """Places whose start and duration may fit."""
    bounds = np.clip(np.array([query.first_ns, query.last_ns]), first_ns, last_ns)
    first, last = steps_of(bounds, first_ns, last_ns).tolist()
    shortest, longest = classes_of(np.array([query.shortest_ns, query.longest_ns])).tolist()
    flags: Flags = (postings.steps >= first) & (postings.steps <= last)
    flags &= (postings.classes >= shortest) & (postings.classes <= longest)
    return flags


def _has_any(tokens: Tokens, alternatives: tuple[int, ...]) -> bool:
    wanted = np.array(alternatives, np.uint32)
    at = np.minimum(np.searchsorted(tokens, wanted), max(len(tokens) - 1, 0))
    return bool(len(tokens)) and bool((tokens[at] == wanted).any())


def _is_span(recorded: Recorded, tenant: str) -> bool:
    return recorded.tenant == tenant and isinstance(recorded.event, Span)

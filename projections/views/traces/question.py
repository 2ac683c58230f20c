"""A trace: its attempts from the views, its spans and log records from the log, page by page.

The events that the attempts were made of come first, then the others as they were stored. A page
ends after `limit` events, `PAGE_BYTES` of them or the time of a question, whichever is first, and
reads no event behind its end.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from events import codec
from events.errors import NotFound
from events.log.port import LogReader, Recorded
from events.schema import Context, LogRecord, Span
from projections.query import cursor, ids, lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.listing import Budget
from projections.query.parameters import ListQuestion
from projections.query.records import Behind, Hex, PositionText
from projections.query.rows import select
from projections.query.spans import LogOut, SpanOut, log_out, span_out
from projections.views.attempts.question import (
    JOINS,
    SQL,
    Attempt,
    ElsewhereRow,
    MemberRow,
    attempt,
    rows_of,
)
from projections.views.traces.fold import positions

MOST_EVENTS: Final = 10_000
ELSEWHERE_LIMIT: Final = 200
"""Attempts of a run in other traces that are shown with one of its traces, at most."""
PAGE_BYTES: Final = 8 << 20
"""Of the events as they are stored, their resources included."""
_FIRST_FETCH: Final = 8  # events may be large
_MOST_FETCHED: Final = 256


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one trace, and of the runs that have an attempt in it."""

    trace_id: Hex
    trace_ids: Annotated[
        list[Hex],
        Meta(description="This one, and others in which its runs have attempts, by start"),
    ]
    attempts: Annotated[list[Attempt], Meta(description="In order of start")]
    retry_count: Annotated[int, Meta(description="Retries of its runs: attempts - runs")]
    final_status: Annotated[str, Meta(description="Status of the last attempt")] | None
    spans: Annotated[
        list[SpanOut],
        Meta(description="In order of start; the attempts' own are on the first pages"),
    ]
    logs: list[LogOut]
    total: Annotated[int, Meta(description="Spans and log records of the trace, over all pages")]
    position: PositionText
    next: Annotated[str, Meta(description="`cursor` that goes on here; null at the end")] | None = (
        None
    )
    complete: Annotated[bool, Meta(description="False: more follows, `next` goes on")] = True
    behind: Behind = []


class TraceQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a trace."""

    limit: Annotated[
        int, Meta(ge=1, le=MOST_EVENTS, description="At most so many spans and log records.")
    ] = MOST_EVENTS


class _Place(NamedTuple):
    """Where a page ends: among the attempts' own events (`others` 0) or the others, which are
    all that were not own up to `seen`."""

    others: int
    position: int
    seen: int


class _Part(NamedTuple):
    """The events of one page, and where the next begins; None at the end."""

    events: list[Recorded]
    next: _Place | None


class StoredTrace(msgspec.Struct, frozen=True, kw_only=True):
    """As `Trace`; its spans and log records as they are stored: to look at many and show few."""

    trace_id: str
    trace_ids: list[str]
    attempts: list[Attempt]
    events: list[Recorded]
    total: int
    position: str
    next: str | None
    behind: list[str]

    @property
    def retry_count(self) -> int:
        """See `Trace`."""
        return len(self.attempts) - len({(a.task_id, a.run_id) for a in self.attempts})

    @property
    def final_status(self) -> str | None:
        """See `Trace`."""
        return self.attempts[-1].status if self.attempts else None


def trace(inquiry: Inquiry, question: TraceQuestion, trace_id: str) -> Trace:
    """The attempts of one trace, whole, and a page of its spans and log records."""
    found = stored_trace(inquiry, question, trace_id)
    spans = [span_out(e, e.event) for e in found.events if isinstance(e.event, Span)]
    return Trace(
        trace_id=found.trace_id,
        trace_ids=found.trace_ids,
        attempts=found.attempts,
        retry_count=found.retry_count,
        final_status=found.final_status,
        spans=sorted(spans, key=lambda span: (span.start_ns, int(span.position))),
        logs=[log_out(e, e.event) for e in found.events if isinstance(e.event, LogRecord)],
        total=found.total,
        position=found.position,
        next=found.next,
        complete=found.next is None,
        behind=found.behind,
    )


def stored_trace(inquiry: Inquiry, question: TraceQuestion, trace_id: str) -> StoredTrace:
    """What `trace` makes its answer of."""
    for raw in ids.trace_ids(trace_id):
        tried, own, traces = _attempts(inquiry, raw)
        stored = set(own)
        for one in traces:
            stored.update(positions(inquiry.connection, inquiry.tenant, one))
        if tried or stored:
            return _answer(inquiry, question, _Known(raw, traces, tried, own, sorted(stored)))
    raise NotFound(f"no trace {trace_id[:64]}")


class _Known(NamedTuple):
    """What the views know of a trace: `own` are the positions of its attempts' events."""

    trace_id: bytes
    trace_ids: tuple[bytes, ...]
    attempts: list[Attempt]
    own: set[int]
    positions: list[int]


def _answer(inquiry: Inquiry, question: TraceQuestion, known: _Known) -> StoredTrace:
    name = known.trace_id.hex()
    bound = cursor.binding(inquiry.tenant, f"traces/{name}", ())
    start = _Place(0, 0, inquiry.position)
    if question.cursor is not None:
        start = _Place(*cursor.read(bound, question.cursor, len(start)))
    with inquiry.log.read() as reader:
        part = _part(inquiry, question.limit, reader, known, start)
    return StoredTrace(
        trace_id=name,
        trace_ids=[one.hex() for one in known.trace_ids],
        attempts=known.attempts,
        events=part.events,
        total=len(known.positions),
        position=str(inquiry.position),
        next=cursor.write(bound, part.next) if part.next else None,
        behind=inquiry.seen.behind,
    )


def _attempts(
    inquiry: Inquiry, trace_id: bytes
) -> tuple[list[Attempt], set[int], tuple[bytes, ...]]:
    """The attempts of the trace's runs in order of start, the positions of the events they come
    from, and the traces in which they lie."""
    members: list[MemberRow | ElsewhereRow] = []
    elsewhere: list[ElsewhereRow] = []
    for run_no in lookup.runs_of_trace(inquiry.connection, inquiry.tenant, trace_id):
        values: dict[str, Any] = {"run": run_no, "trace": trace_id, "tenant": inquiry.tenant_no}
        found = select(inquiry.connection, SQL["of_run_in_trace"], values, MemberRow)
        members += found
        values["limit"] = ELSEWHERE_LIMIT - len(elsewhere) if found else 0
        elsewhere += select(inquiry.connection, SQL["of_run_elsewhere"], values, ElsewhereRow)
    traces = [(member.started_ns, member.trace_id) for member in elsewhere]
    if members:
        traces.append((min(member.started_ns for member in members), trace_id))
    members += elsewhere
    keys = sorted((member.started_ns, member.attempt_key) for member in members)
    rows = rows_of(inquiry, inquiry.numbers(None) or {})(keys)
    tried = [
        inquiry.current(attempt(inquiry.tenant, inquiry.verdicts, rows[key]))
        for key in sorted(rows)
    ]
    ordered = tuple(dict.fromkeys(one for _, one in sorted(traces))) or (trace_id,)
    return tried, {member.position for member in members}, ordered


def _part(inquiry: Inquiry, limit: int, reader: LogReader, known: _Known, start: _Place) -> _Part:
    """The events behind `start`; digests may collide, so tenant and trace id are compared."""
    wanted = list(_places(known, start))
    budget, sizes = Budget(inquiry.budget_s), _Sizes()
    events: list[Recorded] = []
    at, step = 0, min(_FIRST_FETCH, limit)
    while at < len(wanted):
        places = wanted[at : at + step]
        at += len(places)
        for recorded in reader.fetch(0, [place.position for place in places]):
            if recorded.tenant == inquiry.tenant and (
                getattr(recorded.event, "trace_id", None) in known.trace_ids
            ):
                events.append(recorded)
                sizes.add(recorded)
        room = sizes.room(limit - len(events))
        if at < len(wanted) and (room <= 0 or budget.is_over()):
            return _Part(events, wanted[at - 1])
        step = min(room, _MOST_FETCHED)
    return _Part(events, None)


def _places(known: _Known, start: _Place) -> Iterator[_Place]:
    """All places behind `start`, in order."""
    if not start.others:
        for position in sorted(known.own):
            if position > start.position:
                yield _Place(0, position, start.seen)
    first = start.position if start.others else 0
    for position in known.positions:
        # What became an attempt's own while pages were turned was not on the first ones.
        told = position in known.own and position <= start.seen
        if position > first and not told and (start.others or position not in known.own):
            yield _Place(1, position, start.seen)


class _Sizes:
    """Bytes of the events of a page so far."""

    def __init__(self) -> None:
        self._bytes = 0
        self._count = 0
        self._context: Context | None = None
        self._context_bytes = 0

    def add(self, recorded: Recorded) -> None:
        if recorded.context is not self._context:
            self._context = recorded.context
            self._context_bytes = len(codec.encode_context(recorded.context))
        self._bytes += len(codec.encode_event(recorded.event)) + self._context_bytes
        self._count += 1

    def room(self, most: int) -> int:
        """How many more events of this size there is room for, at most `most`; 0: none."""
        average = max(self._bytes // max(self._count, 1), 1)
        return min((PAGE_BYTES - self._bytes) // average, most)


ENDPOINTS: Final = (
    Endpoint(
        "traces/{trace_id}",
        "One trace: its attempts in order, retries, final status, spans and log records.",
        TraceQuestion, Trace, ("traces", "attempts"), trace,
        "32 hex digits, or as another tool shows it: in upper case, with dashes, without leading "
        "zeros, as a decimal number of 64 bits, in base64, a whole `traceparent`.",
        JOINS,
    ),
)  # fmt: skip
AS_STORED: Final = ENDPOINTS[0]._replace(answers=StoredTrace, answer=stored_trace)
"""The same question for who shows a few of its spans; not one of the API."""

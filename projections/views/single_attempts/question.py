"""One attempt, by its public id: its record, and the stored event that says most of it.

The id is a digest that no index holds: an index would cost every write more than the few questions
are worth. `task` and `run` say where to look; without them attempts are tried, those of the newest
runs first, for as long as a question may take.
"""

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.schema import LogRecord, Span
from projections.query import ids, lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.listing import Budget
from projections.query.parameters import Question, TaskId, Text
from projections.query.records import Behind, Hex, PositionText
from projections.query.refusals import BadQuestion
from projections.query.rows import select
from projections.query.spans import LogOut, SpanOut, log_out, span_out
from projections.runs import words
from projections.views.attempts.question import JOINS, Attempt, attempt, rows_of

SQL = load_queries("projections.views.single_attempts", "question.sql")
_ID_BYTES: Final = 16


class OneAttempt(Attempt, frozen=True, kw_only=True):
    """An attempt that was asked for by its id."""

    event_position: Annotated[
        PositionText, Meta(description="Where the event is stored that says most of it")
    ]
    segment_hash: (
        Annotated[Hex, Meta(description="Hash of the log's segment that holds this event")] | None
    )
    span: Annotated[SpanOut, Meta(description="That event, if it is a span")] | None
    log: Annotated[LogOut, Meta(description="That event, if it is a log record")] | None
    previous: Annotated[Hex, Meta(description="`attempt_id` of the try before in its run")] | None
    following: Annotated[Hex, Meta(description="`attempt_id` of the try after in its run")] | None
    behind: Behind = []


class AttemptQuestion(Question, frozen=True, kw_only=True):
    """Where to look for an attempt; its record says both."""

    task: TaskId | None = None
    run: Annotated[Text, Meta(description="Only in the run with this id, of `task`.")] | None = None


class _KnownRow(NamedTuple):
    """A row of the statement `identities`."""

    attempt_key: int
    task_id: str
    run_id: str
    started_ns: int
    position: int


def one(inquiry: Inquiry, question: AttemptQuestion, attempt_id: str) -> OneAttempt:
    """One attempt and its event."""
    wanted = ids.hex_text(attempt_id, _ID_BYTES)
    if wanted is None:
        raise BadQuestion([("attempt_id", "an attempt's id has 32 hex digits")])
    found = _find(inquiry, question, wanted)
    rows = rows_of(inquiry, inquiry.numbers(None) or {})([(found.started_ns, found.attempt_key)])
    record = attempt(inquiry.tenant, inquiry.verdicts, next(iter(rows.values())))
    span, log, hash_ = _event(inquiry, found.position)
    before, after = _beside(inquiry, found)
    fields = msgspec.structs.asdict(inquiry.current(record))
    return OneAttempt(
        **fields, event_position=str(found.position), segment_hash=hash_, span=span, log=log,
        previous=before, following=after, behind=inquiry.seen.behind,
    )  # fmt: skip


def _find(inquiry: Inquiry, question: AttemptQuestion, wanted: str) -> _KnownRow:
    """The attempt with this id.

    Raises:
        NotFound: it is not among those that were tried; the message says which those are.
    """
    where = _ranges(inquiry, question)
    budget, tried = Budget(inquiry.budget_s), 0
    for low, high, task_no in where:
        values = {"low": low, "high": high, "task": task_no, "tenant": inquiry.tenant_no}
        for row in select(inquiry.connection, SQL["identities"], values, _KnownRow):
            tried += 1
            number = row.attempt_key & words.NUMBER_LIMIT
            if words.attempt_id(inquiry.tenant, row.task_id, row.run_id, number) == wanted:
                return row
            if tried % 4096 == 0 and budget.is_over():
                told = f"among the newest {tried:,}; say its `task`, and `run` if you know it"
                raise NotFound(f"no attempt {wanted} {told}")
    raise NotFound(f"no attempt {wanted}")


def _ranges(inquiry: Inquiry, question: AttemptQuestion) -> list[tuple[int, int, int | None]]:
    """Ranges of attempt keys to try, and the task that they must be of."""
    if inquiry.tenant_no is None:
        return []
    whole = (0, (1 << 63) - 1)
    if question.task is None:
        if question.run is not None:
            raise BadQuestion([("run", "a run is known by its task and its id: give `task` too")])
        return [(*whole, None)]
    task_no = lookup.find_task(inquiry.connection, inquiry.tenant, question.task)
    if task_no is None:
        return []
    if question.run is None:
        return [(*whole, task_no)]
    tried = (
        lookup.find_run(inquiry.connection, inquiry.tenant, question.task, run_id)
        for run_id in ids.run_ids(question.run)
    )
    lows = [run_no << words.NUMBER_BITS for run_no in tried if run_no is not None]
    return [(low, low + words.NUMBER_LIMIT, None) for low in lows]


def _event(inquiry: Inquiry, position: int) -> tuple[SpanOut | None, LogOut | None, str | None]:
    """The event at a position, and the hash of its segment."""
    with inquiry.log.read() as reader:
        events = reader.fetch(0, [position])
        hash_ = reader.hash_at(0, position)
    event = events[0].event if events else None
    span = span_out(events[0], event) if isinstance(event, Span) else None
    log = log_out(events[0], event) if isinstance(event, LogRecord) else None
    return span, log, hash_.hex() if hash_ else None


def _beside(inquiry: Inquiry, found: _KnownRow) -> Iterator[str | None]:
    """Ids of the tries before and after in the run."""
    low = found.attempt_key & ~words.NUMBER_LIMIT
    values = {"low": low, "key": found.attempt_key, "high": low + words.NUMBER_LIMIT}
    for name in ("before", "after"):
        (key,) = inquiry.connection.execute(SQL[name], values).fetchone()
        number = None if key is None else key & words.NUMBER_LIMIT
        yield (
            None if number is None
            else words.attempt_id(inquiry.tenant, found.task_id, found.run_id, number)
        )  # fmt: skip


ENDPOINTS: Final = (
    Endpoint(
        "attempts/{attempt_id}", "One attempt, and the stored event that says most of it.",
        AttemptQuestion, OneAttempt, ("attempts",), one,
        "The attempt's id, as its record says it: 32 hex digits.", JOINS,
    ),
)  # fmt: skip

"""Percepts in the order of the log: a run that has ended is told by the event that says so last.

A run is told again where a later event changes it: another try, an end that came late. Scores are
of the views as they are; of runs and patterns only what lies before the run's own start counts, so
that the same run has the same score whenever it is asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.abandonment import abandonment_of
from events.log.port import Recorded
from events.log.sqlite import load_queries
from events.schema import AttemptAbandoned, Fact, LogRecord, Span
from events.times import rfc3339
from projections.query import lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.listing import Budget
from projections.query.parameters import Position, Question, TaskId
from projections.query.records import PositionText
from projections.query.rows import by_keys, select
from projections.runs.words import ABANDONED, STATUS_WORDS
from projections.views.percepts.novelty import FINISHED, Reason, novelty, reasons
from projections.views.runs.question import SQL as RUNS_SQL
from projections.views.runs.question import Run, RunRow, RunsQuestion, run, runs

SQL = load_queries("projections.views.percepts", "question.sql")
BEFORE: Final = 50
"""Runs of the task that a run is compared with."""

Novelty = Annotated[float, Meta(ge=0, le=1, description="0: as ever; 1: never seen")]


class Percept(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run, how new it is, and why."""

    position: Annotated[PositionText, Meta(description="Of the event that told its end")]
    novelty: Novelty
    reasons: Annotated[list[Reason], Meta(description="The strongest first; none: as ever")]
    run: Run


class PerceptPage(msgspec.Struct, frozen=True, kw_only=True):
    """Percepts after a position."""

    items: list[Percept]
    position: Annotated[PositionText, Meta(description="Go on `after` this one")]
    complete: Annotated[bool, Meta(description="Whether these are all that the views know")]


class PerceptsQuestion(Question, frozen=True, kw_only=True):
    """Parameters of a page of percepts."""

    after: Annotated[
        Position, Meta(description="Only runs whose end was told after this position.")
    ] = "0"
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most this many percepts.")] = 100
    task: TaskId | None = None
    min_novelty: Annotated[
        float, Meta(ge=0, le=1, description="Only runs that are at least so new.")
    ] = 0.0


class _Told(NamedTuple):
    """A row of the statement `told`."""

    last_started_ns: int
    run_no: int
    status: int
    position: int | None


class Finder:
    """Percepts of one tenant, as the views of one question know them."""

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry
        self._traces: dict[bytes, list[_Told]] = {}

    def of(self, recorded: Recorded) -> Iterator[Percept]:
        """The runs whose end this event tells."""
        if recorded.tenant != self._inquiry.tenant:
            return
        for told in self._told_by(recorded):
            if STATUS_WORDS[told.status] in FINISHED:
                yield self._percept(told, recorded.position)

    def _told_by(self, recorded: Recorded) -> list[_Told]:
        event = recorded.event
        if isinstance(event, Span | LogRecord):
            of_trace = self._of_trace(event.trace_id)
            # What abandoned a run is a fact that comes after the record of its start.
            is_start = isinstance(event, LogRecord)
            return [
                told
                for told in of_trace
                if told.position == recorded.position
                and not (is_start and told.status == ABANDONED)
            ]
        lost = abandonment_of(event) if isinstance(event, Fact | AttemptAbandoned) else None
        if lost is None:
            return []
        run_no = lookup.find_run(
            self._inquiry.connection, self._inquiry.tenant, lost.task_id, lost.run_id
        )
        found = [] if run_no is None else self._rows([run_no])
        return [told for told in found if (told.position or 0) < recorded.position]

    def _of_trace(self, trace_id: bytes) -> list[_Told]:
        if trace_id not in self._traces:
            connection, tenant = self._inquiry.connection, self._inquiry.tenant
            self._traces[trace_id] = self._rows(lookup.runs_of_trace(connection, tenant, trace_id))
        return self._traces[trace_id]

    def _rows(self, numbers: Sequence[int]) -> list[_Told]:
        tenant_no = self._inquiry.tenant_no
        return [
            row
            for run_no in numbers
            for row in select(
                self._inquiry.connection, SQL["told"], {"run": run_no, "tenant": tenant_no}, _Told
            )
        ]

    def _percept(self, told: _Told, position: int) -> Percept:
        inquiry = self._inquiry
        values = {**(inquiry.numbers(None) or {}), "run": None}
        rows = by_keys(inquiry.connection, RUNS_SQL["runs"], values, RunRow)
        (row,) = rows([told[:2]]).values()
        record = run(inquiry.verdicts, row)
        found = reasons(record, self._before(record), self._first_seen_ns(record))
        return Percept(position=str(position), novelty=novelty(found), reasons=found, run=record)

    def _before(self, record: Run) -> list[Run]:
        until = rfc3339(record.last_started_ns)
        question = RunsQuestion(task=record.task_id, until=until, limit=BEFORE)
        return [each for each in runs(self._inquiry, question).items if each.status in FINISHED]

    def _first_seen_ns(self, record: Run) -> int | None:
        if record.error is None or record.error.fingerprint is None:
            return None
        inquiry = self._inquiry
        number = lookup.find_fingerprint(
            inquiry.connection, inquiry.tenant, record.error.fingerprint
        )
        seen = inquiry.connection.execute(SQL["first_seen"], {"fingerprint": number}).fetchone()
        return None if seen is None else int(seen[0])


def percepts(inquiry: Inquiry, question: PerceptsQuestion) -> PerceptPage:
    """The percepts after a position, in the order of the log, as far as time and limit allow."""
    finder, budget = Finder(inquiry), Budget(inquiry.budget_s)
    position, found = int(question.after), list[Percept]()
    with inquiry.log.read() as reader:
        while position < inquiry.position and len(found) < question.limit and not budget.is_over():
            page = reader.read(0, position, limit_segments=1)
            if page.through <= position:
                break
            for recorded in page.recorded():
                if recorded.position > inquiry.position or len(found) >= question.limit:
                    break
                position = recorded.position
                found += [each for each in finder.of(recorded) if _passes(each, question)]
                if budget.is_over():
                    break
    return PerceptPage(items=found, position=str(position), complete=position >= inquiry.position)


def _passes(percept: Percept, question: PerceptsQuestion) -> bool:
    return percept.novelty >= question.min_novelty and question.task in (None, percept.run.task_id)


ENDPOINTS: Final = (
    Endpoint(
        "percepts/page",
        "Finished runs with a score of novelty, in the order in which their ends were told.",
        PerceptsQuestion, PerceptPage,
        ("runs", "tasks", "attempts", "error_patterns", "traces"), percepts,
    ),
)  # fmt: skip

"""A trace: its attempts from the views, its spans and log records from the log."""

import re
from typing import Final

from events.errors import NotFound
from events.log.port import Recorded
from events.schema import LogRecord, Span
from projections.query import lookup as numbers
from projections.query.inquiry import Asked
from projections.query.listing import Budget, lookup
from projections.query.log import Log
from projections.query.parameters import Question
from projections.query.records import Attempt, Trace
from projections.query.refusals import BadQuestion
from projections.query.spans import log_out, span_out
from projections.views.attempts.question import SQL, attempt
from projections.views.traces.fold import positions

MOST_EVENTS: Final = 10_000
_FETCHED_AT_ONCE: Final = 256
_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}")


def trace(asked: Asked, question: Question, log: Log, trace_id: str) -> Trace:
    """Everything of one trace; a very large one is cut and says so."""
    if not _TRACE_ID.fullmatch(trace_id):
        raise BadQuestion([("trace_id", "a trace id has 32 hex digits")])
    raw = bytes.fromhex(trace_id)
    tried = _attempts(asked, raw)
    events, complete = _events(asked, log, raw)
    if not tried and not events:
        raise NotFound(f"no trace {trace_id.lower()}")
    spans = [span_out(e, e.event) for e in events if isinstance(e.event, Span)]
    logs = [log_out(e, e.event) for e in events if isinstance(e.event, LogRecord)]
    spans.sort(key=lambda span: (span.start_ns, int(span.position)))
    return Trace(
        trace_id=trace_id.lower(),
        attempts=tried,
        retry_count=len(tried) - len({(a.task_id, a.run_id) for a in tried}),
        final_status=tried[-1].status if tried else None,
        spans=spans,
        logs=logs,
        position=str(asked.position),
        complete=complete,
    )


def _attempts(asked: Asked, trace_id: bytes) -> list[Attempt]:
    """The trace's attempts in order of start."""
    keys = []
    for run_no in numbers.runs_of_trace(asked.connection, asked.tenant, trace_id):
        keys += asked.connection.execute(
            SQL["of_run_in_trace"],
            {"run": run_no, "trace": trace_id, "tenant": asked.tenant_no},
        ).fetchall()
    values = asked.numbers(None) or {}
    rows = lookup(asked.connection, SQL["attempts"], values)(sorted(keys))
    return [attempt(asked.tenant, rows[key]) for key in sorted(rows)]


def _events(asked: Asked, log: Log, trace_id: bytes) -> tuple[list[Recorded], bool]:
    """The trace's events in log order, and whether these are all; digests may collide, so each
    event's tenant and trace id are compared."""
    wanted = positions(asked.connection, asked.tenant, trace_id)
    budget = Budget(asked.budget_s)
    found: list[Recorded] = []
    with log.read() as reader:
        for start in range(0, len(wanted), _FETCHED_AT_ONCE):
            if len(found) >= MOST_EVENTS or (start and budget.is_over()):
                return found, False
            found += (
                recorded
                for recorded in reader.fetch(0, wanted[start : start + _FETCHED_AT_ONCE])
                if recorded.tenant == asked.tenant
                and getattr(recorded.event, "trace_id", None) == trace_id
            )
    return found, True

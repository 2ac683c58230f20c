"""`/traces/{id}`: all spans of a trace along time, errors in place, and one span in full.

Up to 5,000 spans and log records are read at once and laid out; of these a window is shown, for
a page must stay light. What was laid out last is kept for a moment, so that turning pages of a
large trace does not read it again.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from events.log.port import Recorded
from events.schema import LogRecord, Span
from projections.query.refusals import BadQuestion
from projections.query.spans import LogOut, SpanOut, log_out, span_out
from projections.views.traces.question import AS_STORED, StoredTrace
from service.web.charts.tries import tries_of
from service.web.charts.waterfall import Waterfall, waterfall
from service.web.stacks import stack_lines, stack_of
from service.web.visit import Page, Shown, Visit

ROWS: Final = 200
_EVENTS: Final = "5000"
_LOGS: Final = 100
_FAILED: Final = 20
_KEPT: Final = 4
_KEPT_EVENTS: Final = 500
"""Traces with fewer are read again each time: that is quick, and nothing need be kept."""


class Laid(NamedTuple):
    """A trace as it was read, and its chart."""

    trace: StoredTrace
    chart: Waterfall | None


class _Layouts:
    """The large traces laid out last, by data folder, tenant, id, place and what the views had
    seen."""

    def __init__(self) -> None:
        self._laid: OrderedDict[tuple[str, ...], Laid] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, visit: Visit, trace_id: str) -> Laid:
        """The trace, laid out."""
        cursor = visit.parameters["cursor"]
        seen = str(visit.queries.seen())
        key = (str(visit.settings.data), visit.tenant, trace_id, cursor, seen)
        with self._lock:
            if key in self._laid:
                self._laid.move_to_end(key)
                return self._laid[key]
        found = visit.ask_of(AS_STORED, trace_id, limit=_EVENTS, cursor=cursor or None)
        laid = Laid(found, waterfall(found.events, found.attempts))
        if len(found.events) >= _KEPT_EVENTS:
            with self._lock:
                self._laid[key] = laid
                while len(self._laid) > _KEPT:
                    self._laid.popitem(last=False)
        return laid


_layouts = _Layouts()


def trace(visit: Visit) -> Shown:
    """One trace."""
    visit.refuse_others("from", "span", "cursor")
    (trace_id,) = visit.arguments
    laid = _layouts.of(visit, trace_id)
    found, chart = laid
    start = _number(visit, "from")
    rows = chart.rows(start, ROWS) if chart else []
    failed, failed_count = chart.failed(_FAILED) if chart else ([], 0)
    span = _span(found, visit.parameters["span"])
    logs = [each for each in found.events if isinstance(each.event, LogRecord)]
    values = {
        "trace": found, "chart": chart, "rows": rows, "start": start, "most": ROWS,
        "failed": [(place // ROWS * ROWS, row) for place, row in failed],
        "failed_count": failed_count,
        "tries": tries_of(found.attempts, visit.now_ns) if len(found.attempts) > 1 else None,
        "elsewhere": visit.elsewhere(found.trace_id),
        "span": span, "stack": _stack(span),
        "span_logs": _logs(each for each in logs if span and _is_of(each, span)),
        "logs": _logs(logs), "log_count": len(logs), "cursor": visit.parameters["cursor"],
    }  # fmt: skip
    return Shown("trace.html.j2", f"Trace {found.trace_id[:8]}", values)


def _number(visit: Visit, name: str) -> int:
    text = visit.parameters[name] or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise BadQuestion([(name, "expected a whole number from 0")])
    return int(text)


def _span(found: StoredTrace, position: str) -> SpanOut | None:
    """The span at a position of the log, if it is on this page of the trace."""
    at = (each for each in found.events if position and str(each.position) == position)
    recorded = next(at, None)
    if recorded is None or not isinstance(recorded.event, Span):
        return None
    return span_out(recorded, recorded.event)


def _stack(span: SpanOut | None) -> Sequence[Any]:
    stack = stack_of(span)
    return stack_lines(stack) if stack else []


def _is_of(recorded: Recorded, span: SpanOut) -> bool:
    return isinstance(recorded.event, LogRecord) and recorded.event.span_id.hex() == span.span_id


def _logs(logs: Iterable[Recorded]) -> list[LogOut]:
    """The first of them, as they are shown."""
    shown = islice(logs, _LOGS)
    return [log_out(each, each.event) for each in shown if isinstance(each.event, LogRecord)]


PAGES: Final = (Page("traces/{trace_id}", trace),)

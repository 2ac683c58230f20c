"""The spans of a trace along time, in tree order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from events import names
from projections.query.spans import SpanOut
from service.web.charts.scale import Bar, Scale

DEEPEST: Final = 24
"""Deeper spans are shown at this depth."""
_ERROR: Final = 2  # OTLP's STATUS_CODE_ERROR


class Row(NamedTuple):
    """One span. `attempt` is the try that it is the span of; `error` what it says went wrong."""

    position: str
    name: str
    service: str
    depth: int
    children: int
    duration_ns: int | None
    bar: Bar
    failed: bool
    error: str
    attempt: Any


class Waterfall(NamedTuple):
    """All spans of a trace that were read, on one scale."""

    scale: Scale
    rows: Sequence[Row]

    def failed(self) -> list[tuple[int, Row]]:
        """The spans that failed, with their places."""
        return [(place, row) for place, row in enumerate(self.rows) if row.failed]

    def services(self) -> list[str]:
        """Names of the services that took part, in order of appearance."""
        return list(dict.fromkeys(row.service for row in self.rows))


def waterfall(spans: Sequence[SpanOut], attempts: Iterable[Any]) -> Waterfall | None:
    """The chart of a trace; None of no span. A span without an end reaches to the last end."""
    if not spans:
        return None
    begins_ns = min(span.start_ns for span in spans)
    ends_ns = max(max(span.end_ns, span.start_ns) for span in spans)
    scale = Scale(begins_ns, ends_ns)
    # A sender may use a span id again for another try: then the start tells them apart.
    tries = {(one.span_id, one.started_ns): one for one in attempts if one.span_id}
    rows = []
    for number, depth, children in _ordered(spans):
        span = spans[number]
        rows.append(
            Row(
                span.position, span.name, _service(span), min(depth, DEEPEST), children,
                span.duration_ns, scale.bar(span.start_ns, span.end_ns or ends_ns),
                span.status_code == _ERROR, error_of(span),
                tries.get((span.span_id, span.start_ns)),
            )
        )  # fmt: skip
    return Waterfall(scale, rows)


def _service(span: SpanOut) -> str:
    return str(span.resource.attributes.get(names.SERVICE_NAME, ""))


def error_of(span: SpanOut) -> str:
    """What a span says went wrong: its last exception, else its status message."""
    for event in reversed(span.events):
        if event.name == names.EXCEPTION_EVENT:
            type_ = event.attributes.get(names.EXCEPTION_TYPE, "")
            message = event.attributes.get(names.EXCEPTION_MESSAGE, "")
            return ": ".join(str(text) for text in (type_, message) if text)
    return span.status_message if span.status_code == _ERROR else ""


def _ordered(spans: Sequence[SpanOut]) -> Iterable[tuple[int, int, int]]:
    """Number, depth and count of children of each span: children by start below their parent.

    Every span comes once, also where parents form a ring; those whose parent is not there are
    roots. Of spans that share an id the first has the children.
    """
    first: dict[str, int] = {}
    for number, span in enumerate(spans):
        first.setdefault(span.span_id, number)
    below: Mapping[int | None, list[int]] = defaultdict(list)
    for number, span in enumerate(spans):
        parent = first.get(span.parent_span_id or "")
        below[None if parent == number else parent].append(number)
    seen: set[int] = set()
    for start in [*below[None], *range(len(spans))]:  # what a ring hides comes last
        waiting = [(start, 0)]
        while waiting:
            number, depth = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            children = below[number]
            yield number, depth, len(children)
            waiting += [(child, depth + 1) for child in reversed(children)]

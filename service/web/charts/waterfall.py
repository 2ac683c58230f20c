"""The spans of a trace along time, in tree order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from events import names
from events.log.port import Recorded
from events.schema import Span
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


class Waterfall:
    """All spans of a trace that were read, on one scale, in tree order: children by start below
    their parent. Rows are made as they are asked for, because few of a large trace are shown.

    Args:
        stored: the spans, at least one; one without an end reaches to the last end.
        attempts: the trace's; each is told at its own span.
    """

    def __init__(self, stored: Sequence[Recorded], attempts: Iterable[Any]) -> None:
        self._stored = sorted(stored, key=lambda each: (_span(each).start_ns, each.position))
        spans = [_span(each) for each in self._stored]
        begins_ns = spans[0].start_ns
        self._ends_ns = max(max(span.end_ns, span.start_ns) for span in spans)
        self.scale = Scale(begins_ns, self._ends_ns)
        # A sender may use a span id again for another try: then the start tells them apart.
        self._tries = {(one.span_id, one.started_ns): one for one in attempts if one.span_id}
        self._places = list(_ordered(spans))

    def __len__(self) -> int:
        return len(self._places)

    def rows(self, first: int, count: int) -> list[Row]:
        """So many rows from the one with the number `first`, from 0."""
        return [self._row(*place) for place in self._places[first : first + count]]

    def failed(self, most: int) -> tuple[list[tuple[int, Row]], int]:
        """The first spans that failed with their numbers, and how many there are."""
        numbers = [
            number for number, (at, _, _) in enumerate(self._places)
            if _span(self._stored[at]).status_code == _ERROR
        ]  # fmt: skip
        shown = [(number, self._row(*self._places[number])) for number in numbers[:most]]
        return shown, len(numbers)

    def services(self) -> int:
        """How many services took part."""
        return len({_service(each) for each in self._stored})

    def _row(self, at: int, depth: int, children: int) -> Row:
        recorded = self._stored[at]
        span = _span(recorded)
        return Row(
            str(recorded.position), span.name, _service(recorded), min(depth, DEEPEST), children,
            span.end_ns - span.start_ns if span.end_ns else None,
            self.scale.bar(span.start_ns, span.end_ns or self._ends_ns),
            span.status_code == _ERROR, error_of(span),
            self._tries.get((span.span_id.hex(), span.start_ns)),
        )  # fmt: skip


def waterfall(stored: Sequence[Recorded], attempts: Iterable[Any]) -> Waterfall | None:
    """The chart of a trace; None of no span."""
    spans = [each for each in stored if isinstance(each.event, Span)]
    return Waterfall(spans, attempts) if spans else None


def _span(recorded: Recorded) -> Span:
    span = recorded.event
    assert isinstance(span, Span)
    return span


def _service(recorded: Recorded) -> str:
    return str(recorded.context.resource_attributes.get(names.SERVICE_NAME, ""))


def error_of(span: Span) -> str:
    """What a span says went wrong: its last exception, else its status message."""
    for event in reversed(span.events):
        if event.name == names.EXCEPTION_EVENT:
            type_ = event.attributes.get(names.EXCEPTION_TYPE, "")
            message = event.attributes.get(names.EXCEPTION_MESSAGE, "")
            return ": ".join(str(text) for text in (type_, message) if text)
    return span.status_message if span.status_code == _ERROR else ""


def _ordered(spans: Sequence[Span]) -> Iterable[tuple[int, int, int]]:
    """Number, depth and count of children of each span: children by start below their parent.

    Every span comes once, also where parents form a ring; those whose parent is not there are
    roots. Of spans that share an id the first has the children.
    """
    first: dict[bytes, int] = {}
    for number, span in enumerate(spans):
        first.setdefault(span.span_id, number)
    below: Mapping[int | None, list[int]] = defaultdict(list)
    for number, span in enumerate(spans):
        parent = first.get(span.parent_span_id) if span.parent_span_id else None
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

"""An observation being interpreted: the values of its rule's sources, wherever they stand."""

from collections.abc import Iterator
from typing import Any, Final

from projections.mapping.join.port import Observations
from projections.mapping.observe.observation import Observation, Segment
from projections.mapping.rules.patterns import glob
from projections.mapping.rules.rule import Expression, Joined, Rule, Value
from projections.mapping.rules.sources import LATER, Source
from projections.runs.values import text_of

DEPTH_LIMIT: Final = 32
"""Spans on the way to a descendant."""
VISITED_LIMIT: Final = 2_000
"""Spans that are looked at for one descendant."""


class Subject:
    """One attempt of an observation: the whole span, or a segment of it.

    `later`: whether a later attempt of its run is taken to be known.
    """

    __slots__ = ("it", "later", "rule", "segment", "store")

    def __init__(
        self, it: Observation, rule: Rule, store: Observations, segment: Segment | None = None
    ) -> None:
        self.it = it
        self.rule = rule
        self.store = store
        self.segment = segment
        self.later = False

    def value(self, value: Value) -> tuple[Any, str]:
        """The first alternative that is present, and its text; (None, "") if none is."""
        for one in value:
            got = self._joined(one) if isinstance(one, Joined) else self._expression(one)
            if got is not None:
                return got, one.text
        return None, ""

    def field(self, name: str) -> tuple[Any, str]:
        """A field of the rule; see `value`."""
        return self.value(self.rule.fields.get(name, ()))

    def raw(self, source: Source) -> Any:
        """The value of a source as a condition sees it."""
        return self._chosen(self._raw(source), source, 0, False)

    def _joined(self, joined: Joined) -> str | None:
        parts = [text_of(self.value(part)[0]) for part in joined.parts]
        texts = [part for part in parts if part is not None]
        return together(texts, joined.separator) if len(texts) == len(parts) else None

    def _expression(self, one: Expression) -> Any:
        got = self._chosen(self._raw(one.source), one.source, one.nth, one.since_start)
        for each in one.filters:
            got = each(got, self.it.trace_id)
        return got

    def _raw(self, source: Source) -> Any:
        if source.slot < 0:
            return source.constant
        if source.own == LATER:
            return self.later or None
        if not source.is_open:
            return self.it.values.get(source.slot)
        if source.descendant:
            return self._of_descendant(source)
        if source.record:
            return self._of_record(source)
        return self._of_parent(source)

    def _chosen(self, got: Any, source: Source, nth: int, since_start: bool) -> Any:
        """Of the values of several events the one that counts."""
        if got is None or not source.own.startswith("event["):
            return got
        low, high = self._window(source)
        if since_start:
            low = self.start_ns
        values = [value for time_ns, value in got if low <= time_ns <= high]
        if nth:
            return values[nth - 1] if nth <= len(values) else None
        if since_start:
            return values[0] if values else None
        return values[-1] if values else None

    def _window(self, source: Source) -> tuple[int, int]:
        if self.segment is None or source.is_open:
            return 0, 1 << 64
        last = self.it.segments is not None and self.it.segments[-1] is self.segment
        # What comes with the end of the span, or right behind it, belongs to its last attempt.
        return self.segment.start_ns, (1 << 64) if last else self.segment.end_ns

    @property
    def start_ns(self) -> int:
        return self.it.start_ns if self.segment is None else self.segment.start_ns

    @property
    def end_ns(self) -> int:
        return self.it.end_ns if self.segment is None else self.segment.end_ns

    def _of_parent(self, source: Source) -> Any:
        spans = [self.it]
        for _ in range(source.parents):
            spans = [one for span in spans for one in self._parents(span)]
        held = [span for span in spans if source.slot in span.values]
        before = [span for span in held if span.start_ns <= self.it.start_ns]
        found = before[-1] if before else next(iter(held), None)
        return None if found is None else found.values[source.slot]

    def _parents(self, span: Observation) -> list[Observation]:
        if not span.parent_span_id or span.parent_span_id == span.span_id:
            return []
        return self.store.of_span(span.tenant, span.trace_id, span.parent_span_id)

    def _of_descendant(self, source: Source) -> Any:
        like = glob(source.descendant)
        for span in self._descendants():
            if like(span.name):
                return span.values.get(source.slot)
        return None

    def _descendants(self) -> Iterator[Observation]:
        """Spans below this one, from the top; each span id once, as ids may form a circle."""
        seen = {self.it.span_id}
        level, depth = [self.it], 0
        while level and depth < DEPTH_LIMIT:
            found: list[Observation] = []
            for span in level:
                for child in self.store.children(span.tenant, span.trace_id, span.span_id):
                    if child.span_id not in seen and len(seen) < VISITED_LIMIT:
                        seen.add(child.span_id)
                        found.append(child)
                        yield child
            level, depth = found, depth + 1

    def _of_record(self, source: Source) -> Any:
        held = self.store.records(self.it.tenant, self.it.trace_id, self.it.span_id)
        values = [
            one.values[source.slot]
            for one in held
            if one.name == source.record and source.slot in one.values and self._timely(one)
        ]
        return values[-1] if values else None

    def _timely(self, record: Observation) -> bool:
        if self.segment is None:
            return True
        low, high = self._window(Source("", "", -1))
        return low <= record.start_ns <= high


def together(parts: list[str], separator: str) -> str:
    """Several texts as one, from which they can be told again.

    In all but the last the separator and `%` are written as `%` and two hex digits, so that
    ("a.b", "c") and ("a", "b.c") stay two.
    """
    if len(parts) == 1:
        return parts[0]
    escaped = f"%{ord(separator):02X}"
    front = [part.replace("%", "%25").replace(separator, escaped) for part in parts[:-1]]
    return separator.join([*front, parts[-1]])

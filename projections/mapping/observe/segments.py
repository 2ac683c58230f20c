"""A span that holds several attempts, cut by its events."""

from projections.mapping.observe.observation import Segment
from projections.mapping.observe.rows import EventRow, SpanRow
from projections.mapping.rules.patterns import Test
from projections.mapping.rules.rule import Split

Conditions = tuple[tuple[str, Test], ...]


def segments_of(row: SpanRow, split: Split) -> tuple[Segment, ...]:
    """The attempts of a span, in order; none where no event begins one."""
    segments: list[Segment] = []
    begun: int | None = None
    for event in sorted(row.events, key=lambda event: event.time_ns):
        starts = _like(event, split.start)
        if begun is not None and (starts or (split.end and _like(event, split.end))):
            said = event.attributes.get(split.status_from) if split.status_from else None
            segments.append(Segment(begun, event.time_ns, True, said))
            begun = None
        if starts:
            begun = event.time_ns
    if begun is not None:
        segments.append(Segment(begun, row.end_ns, False, None))
    return tuple(segments)


def _like(event: EventRow, conditions: Conditions) -> bool:
    for key, test in conditions:
        value = event.name if key == "name" else event.attributes.get(key[5:])
        if not test(value):
            return False
    return True

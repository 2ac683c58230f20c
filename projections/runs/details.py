"""Which spans of a run stand for an attempt, and which only tell more of one."""

from projections.runs.facts import LogFact, SpanFact

SpanKey = tuple[bytes, bytes]


def key_of(fact: SpanFact | LogFact) -> SpanKey:
    """The span that a fact is about."""
    return fact.trace_id, fact.span_id


def without_snapshots(spans: list[SpanFact]) -> list[SpanFact]:
    """A span sent while it ran is replaced by the same span sent at its end."""
    best: dict[tuple[bytes, bytes, int], SpanFact] = {}
    ended = []
    for span in spans:
        key = (span.trace_id, span.span_id, span.start_ns)
        if span.end_ns:
            ended.append(span)
        elif key not in best or span.event_id < best[key].event_id:
            best[key] = span
    over = {(span.trace_id, span.span_id, span.start_ns) for span in ended}
    return ended + [span for key, span in best.items() if key not in over]


def without_details(
    spans: list[SpanFact], lifecycle: set[SpanKey]
) -> tuple[list[SpanFact], set[SpanKey]]:
    """Spans whose parent belongs to the same run are its details, unless they say a number.

    `lifecycle` are spans known from log records only: they still run.
    """
    keys = {key_of(span) for span in spans} | lifecycle
    kept, details = [], set()
    for span in spans:
        parent = (span.trace_id, span.parent_span_id)
        if span.number or parent not in keys or parent == key_of(span):
            kept.append(span)
        else:
            details.add(key_of(span))
    if spans and not kept and not lifecycle - details:
        # Parents in a circle: the first one stands for all.
        first = min(spans, key=lambda s: (s.start_ns, s.event_id))
        return [first], details - {key_of(first)}
    return kept, details - {key_of(span) for span in kept}

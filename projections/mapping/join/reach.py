"""Who may look down at a span: the spans above it, as far as they are known."""

from collections.abc import Iterator

from projections.mapping.join.port import Observations
from projections.mapping.join.subject import DEPTH_LIMIT
from projections.mapping.observe.observation import Observation


def ancestors(store: Observations, it: Observation) -> Iterator[Observation]:
    """Spans above this one, from the nearest; each id once, as parents may form a circle."""
    seen = {it.span_id}
    parent = it.parent_span_id
    for _ in range(DEPTH_LIMIT):
        if not parent or parent in seen:
            return
        seen.add(parent)
        held = store.of_span(it.tenant, it.trace_id, parent)
        yield from held
        parent = next((one.parent_span_id for one in held if one.parent_span_id), b"")

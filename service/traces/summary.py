"""What is told of a trace without its spans, and which services call which."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from events.log.port import Recorded
from events.schema import Span
from projections.views.spans.tokens import service_of

ERROR: Final = 2
"""The status code of a span that failed."""


class ServiceSummary(NamedTuple):
    """A service's share of a trace."""

    name: str
    span_count: int
    error_span_count: int


class TraceSummary(NamedTuple):
    """One trace. Its root is the first span without a parent, or else the first orphan: a span
    whose parent is not there. Times are 0 where there is no span."""

    root_service: str
    root_name: str
    start_ns: int
    end_ns: int
    span_count: int
    error_span_count: int
    orphan_span_count: int
    services: list[ServiceSummary]

    @property
    def duration_ns(self) -> int:
        """From the earliest start to the latest end."""
        return max(self.end_ns - self.start_ns, 0)


def summarise(spans: Iterable[Recorded]) -> TraceSummary:
    """The summary of the spans of one trace."""
    ids: set[bytes] = set()
    roots: list[tuple[bytes, int, str, str]] = []  # parent, start, service, name
    counts: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    starts_ns, ends_ns = [], []
    for recorded in spans:
        span = recorded.event
        assert isinstance(span, Span)
        service = service_of(recorded.context)
        ids.add(span.span_id)
        counts[service] += 1
        errors[service] += span.status_code == ERROR
        starts_ns.append(span.start_ns)
        ends_ns.append(span.end_ns)
        roots.append((span.parent_span_id, span.start_ns, service, span.name))
    orphans = [root for root in roots if root[0] and root[0] not in ids]
    tops = sorted(root for root in roots if not root[0]) or sorted(orphans, key=lambda r: r[1])
    _, _, service, name = tops[0] if tops else (b"", 0, "", "")
    shares = [ServiceSummary(key, counts[key], errors[key]) for key in sorted(counts)]
    return TraceSummary(
        service, name, min(starts_ns, default=0), max(ends_ns, default=0), len(roots),
        errors.total(), len(orphans), shares,
    )  # fmt: skip


class Call(NamedTuple):
    """One service calls another."""

    parent: str
    child: str


def calls(spans: Iterable[Recorded]) -> Counter[Call]:
    """How often services called others, by spans whose parent is among them too."""
    services: dict[tuple[bytes, bytes], str] = {}
    children: dict[tuple[bytes, bytes], Counter[str]] = defaultdict(Counter)
    for recorded in spans:
        span = recorded.event
        assert isinstance(span, Span)
        service = service_of(recorded.context)
        services[span.trace_id, span.span_id] = service
        if span.parent_span_id:
            children[span.trace_id, span.parent_span_id][service] += 1
    found: Counter[Call] = Counter()
    for parent, counts in children.items():
        for child, count in counts.items():
            caller = services.get(parent)
            if caller and child and caller != child:
                found[Call(caller, child)] += count
    return found

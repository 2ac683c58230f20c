"""Searches as Grafana shows them, and the tags and values that it offers; plain functions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from events.log.port import Recorded
from events.schema import Span
from projections.views.spans.search import END_NS
from projections.views.spans.tokens import SERVICE_NAME
from service.tempo.fields import INTRINSICS, KINDS, ROOT, SCOPES, STATUSES, otlp, values_of
from service.tempo.pipeline import Asked
from service.tempo.traceql import Expression, Joined, NotUnderstood, Root, parse, query_of
from service.traces.stored import StoredTraces
from service.traces.summary import summarise

_SAMPLE: Final = 2_000
"""The newest spans of the time, by which it is told which attributes there are."""
_MOST_VALUES: Final = 1_000
_ANY: Final = Joined(True, ())
_OVER_FETCHED: Final = 10
"""Traces that are looked at for each that is wanted, where their root decides."""


class Window:
    """A time, in whole seconds since 1970, both ends included; None: no bound."""

    def __init__(self, start_s: int | None, end_s: int | None) -> None:
        self.first_ns = (start_s or 0) * 10**9
        self.last_ns = END_NS if end_s is None else min((end_s + 1) * 10**9 - 1, END_NS)


def search(
    traces: StoredTraces,
    tenant: str,
    wanted: Asked,
    window: Window,
    *,
    limit: int,
    spans_each: int,
) -> list[dict[str, Any]]:
    """Traces with a span that fits, as Tempo's search answers them, the newest first.

    Raises:
        NotAllSeen: the time was over before anything was found.
    """
    asked = wanted.spans
    query = query_of(asked, tenant, window.first_ns, window.last_ns)
    asks_root = any(condition.scope == ROOT for condition in asked.conditions())
    most = limit * _OVER_FETCHED if asks_root else limit
    found: dict[bytes, Matches] = {}
    with traces.searching() as searching:
        for recorded in searching.spans(query):
            span = recorded.event
            assert isinstance(span, Span)
            if span.trace_id not in found and len(found) >= most:
                break
            found.setdefault(span.trace_id, Matches(spans_each)).add(recorded)
        if not found:
            searching.require_seen()

    def fitting(recorded: Recorded, root: Root) -> bool:
        span = recorded.event
        assert isinstance(span, Span)
        return query.fits(recorded) and asked.holds_in(recorded.context, span, root)

    fields = [("span", condition.key) for condition in asked.conditions()]
    fields += wanted.selected
    exactly = fitting if asks_root else None
    shown = (_trace(traces, tenant, one, of, fields, exactly) for one, of in found.items())
    return list(islice((trace for trace in shown if trace), limit))


class Matches:
    """The spans of one trace that fit: how many, and the first of them."""

    def __init__(self, kept: int) -> None:
        self.kept = kept
        self.count = 0
        self.spans: list[Recorded] = []

    def add(self, recorded: Recorded) -> None:
        """One more; a trace may have a million of them."""
        self.count += 1
        if len(self.spans) < self.kept:
            self.spans.append(recorded)


def _trace(
    traces: StoredTraces,
    tenant: str,
    trace_id: bytes,
    matches: Matches,
    fields: Sequence[tuple[str, str]],
    fitting: Callable[[Recorded, Root], bool] | None,
) -> dict[str, Any] | None:
    """One trace; None if no span of it fits together with its root."""
    summary = summarise(traces.spans(tenant, trace_id))
    if fitting is not None:
        root, matches = Root(summary.root_service, summary.root_name), Matches(matches.kept)
        for recorded in traces.spans(tenant, trace_id):
            if isinstance(recorded.event, Span) and fitting(recorded, root):
                matches.add(recorded)
        if not matches.count:
            return None
    shown = [_span(recorded, fields) for recorded in matches.spans]
    return {
        "traceID": trace_id.hex(),
        "rootServiceName": summary.root_service,
        "rootTraceName": summary.root_name,
        "startTimeUnixNano": str(summary.start_ns),
        "durationMs": summary.duration_ns // 10**6,
        "spanSets": [{"spans": shown, "matched": matches.count}],
    }


def _span(recorded: Recorded, fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
    span = recorded.event
    assert isinstance(span, Span)
    attributes: dict[str, Any] = {}
    for scope, key in fields:
        for value in values_of(scope, key, recorded.context, span)[:1]:
            attributes.setdefault(key, value)
    return {
        "spanID": span.span_id.hex(),
        "name": span.name,
        "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(max(span.end_ns - span.start_ns, 0)),
        "attributes": [{"key": key, "value": otlp(value)} for key, value in attributes.items()],
    }  # fmt: skip


def tags(
    traces: StoredTraces, tenant: str, window: Window, scope: str, text: str
) -> list[dict[str, Any]]:
    """The keys of each scope, or of one, by the newest spans of the time that fit a query."""
    held: dict[str, set[str]] = {one: set() for one in SCOPES}
    for recorded in _newest(traces, tenant, window, _narrowed(text)):
        for name, attributes in _scoped(recorded):
            held[name].update(attributes)
    found = [{"name": name, "tags": sorted(keys)} for name, keys in held.items()]
    found.append({"name": "intrinsic", "tags": [*INTRINSICS, "rootServiceName", "rootName"]})
    return [one for one in found if scope in ("", one["name"]) and one["tags"]]


def values(
    traces: StoredTraces, tenant: str, window: Window, tag: str, text: str
) -> list[dict[str, Any]]:
    """The values of a tag, `scope.key` or an intrinsic, by the newest spans that fit a query.

    Of services without a query all are known.
    """
    asked = _narrowed(text)
    if tag in ("status", "kind"):
        words = STATUSES if tag == "status" else KINDS
        return [{"type": "keyword", "value": word} for word in words]
    scope, _, key = tag.partition(".")
    is_service = key == SERVICE_NAME and scope in ("", "resource")
    if tag == "rootServiceName" or (is_service and asked == _ANY):
        with traces.searching() as searching:
            names = searching.services(tenant)
        return [{"type": "string", "value": name} for name in names[:_MOST_VALUES]]
    found: dict[tuple[str, str], None] = {}
    for recorded in _newest(traces, tenant, window, asked):
        span = recorded.event
        assert isinstance(span, Span)
        if tag in ("name", "rootName"):
            found["string", span.name] = None
            continue
        for name, attributes in _scoped(recorded):
            is_meant = name == scope or (not scope and name in ("span", "resource"))
            if is_meant and (typed := _typed(attributes.get(key))):
                found[typed] = None
        if len(found) >= _MOST_VALUES:
            break
    return [{"type": kind, "value": text} for kind, text in sorted(found)]


def _typed(value: Any) -> tuple[str, str] | None:
    if isinstance(value, bool):
        return "bool", str(value).lower()
    kind = {str: "string", int: "int", float: "float"}.get(type(value))
    return None if kind is None else (kind, str(value))


def _scoped(recorded: Recorded) -> Iterator[tuple[str, dict[str, Any]]]:
    span = recorded.event
    assert isinstance(span, Span)
    yield "span", span.attributes
    yield "resource", recorded.context.resource_attributes
    yield "instrumentation", recorded.context.scope_attributes
    for event in span.events:
        yield "event", event.attributes
    for link in span.links:
        yield "link", link.attributes


def _narrowed(text: str) -> Expression:
    """What spans are to be; one that is still being written narrows nothing, as with Tempo."""
    try:
        return parse(text)
    except NotUnderstood:
        return _ANY


def _newest(
    traces: StoredTraces, tenant: str, window: Window, asked: Expression
) -> Iterable[Recorded]:
    query = query_of(asked, tenant, window.first_ns, window.last_ns)
    with traces.searching() as searching:
        return list(islice(searching.spans(query), _SAMPLE))

"""Stored events as readable records: ids in hex, times in RFC 3339 and ns."""

import math
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from events.log.port import Recorded
from events.schema import (
    Attributes,
    Context,
    LogRecord,
    Span,
    SpanEvent,
    SpanLink,
)
from events.times import rfc3339
from projections.query.records import Hex, Ns, PositionText, Rfc3339

_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")


class SpanEventOut(msgspec.Struct, frozen=True):
    """A timed annotation of a span."""

    time: Rfc3339 | None
    time_ns: Ns
    name: str
    attributes: dict[str, Any]
    dropped_attributes_count: int


class SpanLinkOut(msgspec.Struct, frozen=True):
    """A pointer to another span."""

    trace_id: Hex
    span_id: Hex
    trace_state: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    flags: int


class ResourceOut(msgspec.Struct, frozen=True):
    """What sent a span."""

    attributes: dict[str, Any]
    dropped_attributes_count: int
    schema_url: str


class ScopeOut(msgspec.Struct, frozen=True):
    """The instrumentation that made a span."""

    name: str
    version: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    schema_url: str


class SpanOut(msgspec.Struct, frozen=True, kw_only=True):
    """One span as it was stored; bytes are base64, not-a-number and infinities are texts."""

    position: PositionText
    partition: int
    event_id: Hex
    trace_id: Hex
    span_id: Hex
    parent_span_id: Hex | None
    trace_state: str
    flags: int
    name: str
    kind: Annotated[str, Meta(description="unspecified|internal|server|client|producer|consumer")]
    started_at: Rfc3339 | None
    start_ns: Ns
    ended_at: Rfc3339 | None
    end_ns: Annotated[int, Meta(description="Nanoseconds since 1970 UTC; 0 while it runs")]
    duration_ns: int | None
    status_code: Annotated[int, Meta(description="0 unset, 1 ok, 2 error")]
    status_message: str
    attributes: dict[str, Any]
    dropped_attributes_count: int
    events: list[SpanEventOut]
    dropped_events_count: int
    links: list[SpanLinkOut]
    dropped_links_count: int
    resource: ResourceOut
    scope: ScopeOut
    received_at: Rfc3339 | None
    scrubbed: Annotated[list[str], Meta(description="Kinds of private data that were replaced")]
    cut: Annotated[list[str], Meta(description="What was shortened")]


class LogOut(msgspec.Struct, frozen=True, kw_only=True):
    """One log record as it was stored."""

    position: PositionText
    partition: int
    event_id: Hex
    trace_id: Hex | None
    span_id: Hex | None
    event_name: str
    time: Rfc3339 | None
    time_ns: Ns
    observed_ns: Ns
    severity_number: int
    severity_text: str
    body: Any
    attributes: dict[str, Any]
    resource: ResourceOut
    scope: ScopeOut
    received_at: Rfc3339 | None
    scrubbed: list[str]
    cut: list[str]


def span_out(recorded: Recorded, span: Span) -> SpanOut:
    """The record of a span."""
    resource, scope = _context(recorded.context)
    return SpanOut(
        position=str(recorded.position),
        partition=recorded.partition,
        event_id=recorded.event_id.hex(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex() or None,
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=_KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else str(span.kind),
        started_at=rfc3339(span.start_ns),
        start_ns=span.start_ns,
        ended_at=rfc3339(span.end_ns or None),
        end_ns=span.end_ns,
        duration_ns=span.end_ns - span.start_ns if span.end_ns else None,
        status_code=span.status_code,
        status_message=span.status_message,
        attributes=readable(span.attributes),
        dropped_attributes_count=span.dropped_attributes_count,
        events=[_event(event) for event in span.events],
        dropped_events_count=span.dropped_events_count,
        links=[_link(link) for link in span.links],
        dropped_links_count=span.dropped_links_count,
        resource=resource,
        scope=scope,
        received_at=rfc3339(recorded.received_ns),
        scrubbed=list(span.scrubbed),
        cut=list(span.cut),
    )


def log_out(recorded: Recorded, record: LogRecord) -> LogOut:
    """The record of a log record."""
    resource, scope = _context(recorded.context)
    return LogOut(
        position=str(recorded.position),
        partition=recorded.partition,
        event_id=recorded.event_id.hex(),
        trace_id=record.trace_id.hex() or None,
        span_id=record.span_id.hex() or None,
        event_name=record.event_name,
        time=rfc3339(record.time_ns or None),
        time_ns=record.time_ns,
        observed_ns=record.observed_ns,
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        body=_plain(record.body),
        attributes=readable(record.attributes),
        resource=resource,
        scope=scope,
        received_at=rfc3339(recorded.received_ns),
        scrubbed=list(record.scrubbed),
        cut=list(record.cut),
    )


def _event(event: SpanEvent) -> SpanEventOut:
    return SpanEventOut(
        rfc3339(event.time_ns),
        event.time_ns,
        event.name,
        readable(event.attributes),
        event.dropped_attributes_count,
    )


def _link(link: SpanLink) -> SpanLinkOut:
    return SpanLinkOut(
        link.trace_id.hex(),
        link.span_id.hex(),
        link.trace_state,
        readable(link.attributes),
        link.dropped_attributes_count,
        link.flags,
    )


def _context(context: Context) -> tuple[ResourceOut, ScopeOut]:
    resource = ResourceOut(
        readable(context.resource_attributes),
        context.resource_dropped_attributes_count,
        context.resource_schema_url,
    )
    scope = ScopeOut(
        context.scope_name,
        context.scope_version,
        readable(context.scope_attributes),
        context.scope_dropped_attributes_count,
        context.scope_schema_url,
    )
    return resource, scope


def readable(attributes: Attributes) -> Attributes:
    """Attributes as JSON can say them."""
    return {key: _plain(value) for key, value in attributes.items()}


def _plain(value: Any) -> Any:
    """A value that JSON can say: not-a-number and infinities become texts; bytes, base64 later."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return readable(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.msgpack.Ext):
        return bytes(value.data)
    return value

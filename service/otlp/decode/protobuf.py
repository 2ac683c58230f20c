"""OTLP/protobuf to groups: the reference decoder, with the generated stubs (upb).

A span costs about 9 µs; it is mostly attribute access on messages, so `string_value` is
asked first (most values are strings), then `int_value`, and only then which one is set.
A body that does not parse as a whole is split, and each event parsed alone.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from events.schema import Attributes, Context, EntityRef, LogRecord, Span, SpanEvent, SpanLink
from service.otlp.decode import split
from service.otlp.decode.another_signal import require_logs, require_spans
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.limits import (
    ATTRIBUTE,
    DEPTH,
    MAX_DEPTH,
    Cuts,
    Limits,
    add_dropped,
    strings_of,
)
from service.otlp.decode.weight import check_events, check_protobuf

_SCALARS: Final = frozenset(
    ("string_value", "bool_value", "int_value", "double_value", "bytes_value")
)


def decode_traces(body: bytes, limits: Limits) -> Decoded:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        WrongSignal: these are log records or metrics.
        BadInput: this is no OTLP at all.
        TooLarge: it holds too many parts.
    """
    check_protobuf(body)
    assembly = Assembly(limits, len(body))
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        request = None
    if request is None or split.OLD_SCOPES in body:
        _split_traces(body, assembly)
        unread_bytes = 0
    else:
        _read_traces(request, body, assembly)
        unread_bytes = split.unread_bytes(request)
    if assembly.refused and not assembly.accepted:
        require_spans(body, assembly.refused)
    return assembly.finish(unread_bytes)


def _read_traces(request: ExportTraceServiceRequest, body: bytes, assembly: Assembly) -> None:
    limits = assembly.limits
    check_events(
        sum(len(scope.spans) for part in request.resource_spans for scope in part.scope_spans),
        len(body),
    )
    for part in request.resource_spans:
        resource: _Resource | None = None
        for scope_spans in part.scope_spans:
            spans = scope_spans.spans
            if spans:
                resource = resource or _resource(part.resource, part.schema_url, limits)
                _open(resource, scope_spans.scope, scope_spans.schema_url, assembly)
                add_spans(spans, assembly)
                assembly.close()


def decode_logs(body: bytes, limits: Limits) -> Decoded:
    """The log records of an ExportLogsServiceRequest.

    Raises:
        WrongSignal: these are spans or metrics.
        BadInput: this is no OTLP at all.
        TooLarge: it holds too many parts.
    """
    check_protobuf(body)
    assembly = Assembly(limits, len(body))
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        require_logs(body)
        request = None
    if request is None or split.OLD_SCOPES in body:
        _split_logs(body, assembly)
        return assembly.finish()
    check_events(
        sum(len(scope.log_records) for part in request.resource_logs for scope in part.scope_logs),
        len(body),
    )
    timeless = False
    for part in request.resource_logs:
        resource: _Resource | None = None
        for scope_logs in part.scope_logs:
            records = scope_logs.log_records
            if records:
                resource = resource or _resource(part.resource, part.schema_url, limits)
                _open(resource, scope_logs.scope, scope_logs.schema_url, assembly)
                timeless |= _add_logs(records, assembly)
                assembly.close()
    if timeless or assembly.refused:
        require_logs(body)
    return assembly.finish(split.unread_bytes(request))


def add_spans(spans: Iterable[trace_pb2.Span], assembly: Assembly) -> None:
    """Every span of one group; the hot path, so it is one flat loop."""
    limits = assembly.limits
    add_span, most = assembly.add_span, limits.max_attributes
    cuts: Cuts = Counter()
    for span in spans:
        name = span.name
        strings = [name]
        add = strings.append
        attributes: Attributes = {}
        pairs = span.attributes
        count = len(pairs)
        if count > most:
            pairs = limits.attributes(pairs, cuts)
        for pair in pairs:
            any_value = pair.value
            value: Any = any_value.string_value
            if value:
                add(value)
            else:
                value = any_value.int_value
                if not value:
                    value = _other(any_value, cuts, limits, 0)
                    strings_of(value, add)
            attributes[pair.key] = value
        dropped = add_dropped(span.dropped_attributes_count, count - len(attributes))
        sent_events, sent_links = span.events, span.links
        events = [
            _event(event, strings, cuts, limits) for event in limits.events(sent_events, cuts)
        ]
        links = [_link(link, strings, cuts, limits) for link in limits.links(sent_links, cuts)]
        status = span.status
        message = status.message
        add(message)
        add_span(
            Span(
                span.trace_id, span.span_id, span.parent_span_id, span.trace_state, span.flags,
                name, span.kind, span.start_time_unix_nano, span.end_time_unix_nano,
                attributes, dropped, events,
                add_dropped(span.dropped_events_count, len(sent_events) - len(events)), links,
                add_dropped(span.dropped_links_count, len(sent_links) - len(links)),
                status.code, message,
            ),
            strings if count == len(attributes) else None,
            cuts,
        )  # fmt: skip
        if cuts:
            cuts = Counter()


def _event(
    event: trace_pb2.Span.Event, strings: list[str], cuts: Cuts, limits: Limits
) -> SpanEvent:
    strings.append(event.name)
    attributes, repeated = _attributes(event.attributes, cuts, limits)
    strings_of(attributes, strings.append)
    return SpanEvent(
        event.time_unix_nano,
        event.name,
        attributes,
        add_dropped(event.dropped_attributes_count, repeated),
    )


def _link(link: trace_pb2.Span.Link, strings: list[str], cuts: Cuts, limits: Limits) -> SpanLink:
    attributes, repeated = _attributes(link.attributes, cuts, limits)
    strings_of(attributes, strings.append)
    return SpanLink(
        link.trace_id, link.span_id, link.trace_state, attributes,
        add_dropped(link.dropped_attributes_count, repeated), link.flags,
    )  # fmt: skip


def _add_logs(records: Iterable[logs_pb2.LogRecord], assembly: Assembly) -> bool:
    """Every log record of one group, and whether any has no time; a record may be twenty bytes, so
    it is one flat loop."""
    limits, add_log, timeless = assembly.limits, assembly.add_log, False
    cuts: Cuts = Counter()
    for record in records:
        time_ns, observed_ns = record.time_unix_nano, record.observed_time_unix_nano
        attributes, repeated = _attributes(record.attributes, cuts, limits)
        add_log(
            LogRecord(
                time_ns, observed_ns, record.severity_number, record.severity_text,
                _value(record.body, cuts, limits, 0), attributes,
                add_dropped(record.dropped_attributes_count, repeated), record.flags,
                record.trace_id, record.span_id, record.event_name,
            ),
            cuts,
        )  # fmt: skip
        timeless |= not (time_ns or observed_ns)
        if cuts:
            cuts = Counter()
    return timeless


def _attributes(pairs: Any, cuts: Cuts, limits: Limits) -> tuple[Attributes, int]:
    """The attributes as a map, and how many were cut or lost because their key came again."""
    if not pairs:
        return {}, 0
    attributes = {
        pair.key: _value(pair.value, cuts, limits, 0) for pair in limits.attributes(pairs, cuts)
    }
    return attributes, len(pairs) - len(attributes)


def _value(any_value: Any, cuts: Cuts, limits: Limits, depth: int) -> Any:
    return any_value.string_value or any_value.int_value or _other(any_value, cuts, limits, depth)


def _other(any_value: Any, cuts: Cuts, limits: Limits, depth: int) -> Any:
    """A value that is no filled string; nil if none is set, or one that only profiles have."""
    which = any_value.WhichOneof("value")
    if which not in ("array_value", "kvlist_value"):
        return getattr(any_value, which) if which in _SCALARS else None
    if depth >= MAX_DEPTH:
        cuts[DEPTH] += 1
        return None
    items = getattr(any_value, which).values
    if which == "array_value":
        return [
            item.string_value or item.int_value or _other(item, cuts, limits, depth + 1)
            for item in items
        ]
    if len(items) > limits.max_attributes:
        cuts[ATTRIBUTE] += len(items) - limits.max_attributes
        items = items[: limits.max_attributes]
    return {item.key: _value(item.value, cuts, limits, depth + 1) for item in items}


class _Resource(NamedTuple):
    """A resource as contexts have it: read and cut once, for all scopes under it."""

    attributes: Attributes
    dropped: int
    refs: list[EntityRef]
    schema_url: str
    cuts: Cuts


def _resource(resource: Any, schema_url: str, limits: Limits) -> _Resource:
    cuts: Cuts = Counter()
    attributes, repeated = _attributes(resource.attributes, cuts, limits)
    dropped = add_dropped(resource.dropped_attributes_count, repeated)
    attributes, dropped = limits.strings(attributes, dropped, cuts)
    refs = [
        EntityRef(ref.schema_url, ref.type, list(ref.id_keys), list(ref.description_keys))
        for ref in resource.entity_refs
    ]
    return _Resource(attributes, dropped, refs, limits.text(schema_url, cuts), cuts)


def _open(resource: _Resource, scope: Any, schema_url: str, assembly: Assembly) -> None:
    limits, cuts = assembly.limits, resource.cuts.copy()
    attributes, repeated = _attributes(scope.attributes, cuts, limits)
    dropped = add_dropped(scope.dropped_attributes_count, repeated)
    attributes, dropped = limits.strings(attributes, dropped, cuts)
    context = Context(
        resource.attributes, resource.dropped, resource.refs, resource.schema_url,
        limits.text(scope.name, cuts), limits.text(scope.version, cuts), attributes, dropped,
        limits.text(schema_url, cuts), cut=tuple(sorted(cuts)),
    )  # fmt: skip
    assembly.open_limited(context, cuts)


def read_resource(data: bytes, schema_url: bytes, limits: Limits) -> _Resource | None:
    """The resource of these bytes; None if they are none."""
    try:
        return _resource(Resource.FromString(data), schema_url.decode(), limits)
    except (DecodeError, UnicodeDecodeError):
        return None


def open_scope(
    resource: _Resource | None, data: bytes, schema_url: bytes, assembly: Assembly
) -> bool:
    """Begin the group of the scope of these bytes; False if it or its resource is none."""
    try:
        scope, schema = InstrumentationScope.FromString(data), schema_url.decode()
    except (DecodeError, UnicodeDecodeError):
        return False
    if resource is not None:
        _open(resource, scope, schema, assembly)
    return resource is not None


def _split_traces(body: bytes, assembly: Assembly) -> None:
    """Parse each span alone; the bad ones are refused with their name."""
    for part in split.parts_of(body):
        if not _open_part(part, assembly):
            continue
        for data in part.events:
            try:
                span = trace_pb2.Span.FromString(data)
            except DecodeError:
                assembly.refuse(split.NOT_PARSED, split.name_of(data))
            else:
                add_spans((span,), assembly)
        assembly.close()


def _split_logs(body: bytes, assembly: Assembly) -> None:
    """Parse each log record alone; the bad ones are refused with their place."""
    for part in split.parts_of(body):
        if not _open_part(part, assembly):
            continue
        for number, data in enumerate(part.events):
            try:
                record = logs_pb2.LogRecord.FromString(data)
            except DecodeError:
                assembly.refuse(split.NOT_PARSED, f"log record {number} of its scope")
            else:
                _add_logs((record,), assembly)
        assembly.close()


def _open_part(part: split.Part, assembly: Assembly) -> bool:
    resource = read_resource(part.resource, part.resource_schema, assembly.limits)
    if open_scope(resource, part.scope, part.scope_schema, assembly):
        return True
    what = "the resource or scope of this group"
    assembly.refuse(split.NOT_PARSED, what, len(part.events))
    return False

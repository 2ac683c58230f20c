"""OTLP/protobuf to groups: the reference decoder, with the generated stubs (upb).

A span costs about 9 µs; it is mostly attribute access on messages, so `string_value` is
asked first (most values are strings), then `int_value`, and only then which one is set.
A body that does not parse as a whole is split, and each event parsed alone.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from events.schema import Attributes, Context, EntityRef, LogRecord, Span, SpanEvent, SpanLink
from service.otlp.decode import split
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.limits import (
    ATTRIBUTE,
    DEPTH,
    MAX_DEPTH,
    Cuts,
    Limits,
    add_dropped,
    strings_of,
)
from service.otlp.decode.weight import check_protobuf

LOGS_ON_TRACES: Final = (
    "this body holds log records, but it was sent to the traces endpoint; "
    "send it to /v1/logs or LogsService/Export"
)
METRICS_ELSEWHERE: Final = (
    "this body holds metrics, but it was sent to another endpoint; "
    "send it to /v1/metrics or MetricsService/Export"
)
TRACES_ON_LOGS: Final = (
    "this body holds spans, but it was sent to the logs endpoint; "
    "send it to /v1/traces or TraceService/Export"
)


def decode_traces(body: bytes, limits: Limits) -> Decoded:
    """The spans of an ExportTraceServiceRequest.

    Raises:
        WrongSignal: these are log records or metrics.
        BadInput: this is no OTLP at all.
        TooLarge: it holds too many parts.
    """
    check_protobuf(body)
    assembly = Assembly(limits)
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        _require_spans(body)
        request = None
    if request is None or split.OLD_SCOPES in body:
        _split_traces(body, assembly)
        return assembly.finish()
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = scope_spans.spans
            if spans:
                cuts: Cuts = Counter()
                context = _context(
                    resource_spans.resource, resource_spans.schema_url,
                    scope_spans.scope, scope_spans.schema_url, cuts, limits,
                )  # fmt: skip
                assembly.open(context, cuts)
                _add_spans(spans, assembly)
                assembly.close()
    if assembly.refused and not assembly.accepted:
        _require_spans(body)
    return assembly.finish(split.unread_bytes(request))


def decode_logs(body: bytes, limits: Limits) -> Decoded:
    """The log records of an ExportLogsServiceRequest.

    Raises:
        WrongSignal: these are spans or metrics.
        BadInput: this is no OTLP at all.
        TooLarge: it holds too many parts.
    """
    check_protobuf(body)
    assembly = Assembly(limits)
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        _require_logs(body)
        request = None
    if request is None or split.OLD_SCOPES in body:
        _split_logs(body, assembly)
        return assembly.finish()
    timeless = False
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            records = scope_logs.log_records
            if records:
                cuts: Cuts = Counter()
                context = _context(
                    resource_logs.resource, resource_logs.schema_url,
                    scope_logs.scope, scope_logs.schema_url, cuts, limits,
                )  # fmt: skip
                assembly.open(context, cuts)
                for record in records:
                    _add_log(record, assembly)
                    timeless |= not (record.time_unix_nano or record.observed_time_unix_nano)
                assembly.close()
    if timeless or assembly.refused:
        _require_logs(body)
    return assembly.finish(split.unread_bytes(request))


def _add_spans(spans: Iterable[trace_pb2.Span], assembly: Assembly) -> None:
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
            strings,
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


def _add_log(record: logs_pb2.LogRecord, assembly: Assembly) -> None:
    cuts: Cuts = Counter()
    limits = assembly.limits
    attributes, repeated = _attributes(record.attributes, cuts, limits)
    assembly.add_log(
        LogRecord(
            record.time_unix_nano, record.observed_time_unix_nano, record.severity_number,
            record.severity_text, _value(record.body, cuts, limits, 0), attributes,
            add_dropped(record.dropped_attributes_count, repeated), record.flags, record.trace_id,
            record.span_id, record.event_name,
        ),
        cuts,
    )  # fmt: skip


def _attributes(pairs: Any, cuts: Cuts, limits: Limits) -> tuple[Attributes, int]:
    """The attributes as a map, and how many were cut or lost because their key came again."""
    attributes = {
        pair.key: _value(pair.value, cuts, limits, 0) for pair in limits.attributes(pairs, cuts)
    }
    return attributes, len(pairs) - len(attributes)


def _value(any_value: Any, cuts: Cuts, limits: Limits, depth: int) -> Any:
    return any_value.string_value or _other(any_value, cuts, limits, depth)


def _other(any_value: Any, cuts: Cuts, limits: Limits, depth: int) -> Any:
    """A value that is no filled string; nil if none is set."""
    which = any_value.WhichOneof("value")
    if which not in ("array_value", "kvlist_value"):
        return None if which is None else getattr(any_value, which)
    if depth >= MAX_DEPTH:
        cuts[DEPTH] += 1
        return None
    items = getattr(any_value, which).values
    if which == "array_value":
        return [_value(item, cuts, limits, depth + 1) for item in items]
    if len(items) > limits.max_attributes:
        cuts[ATTRIBUTE] += len(items) - limits.max_attributes
        items = items[: limits.max_attributes]
    return {item.key: _value(item.value, cuts, limits, depth + 1) for item in items}


def _context(
    resource: Any, resource_schema: str, scope: Any, scope_schema: str, cuts: Cuts, limits: Limits
) -> Context:
    attributes, repeated = _attributes(resource.attributes, cuts, limits)
    scope_attributes, scope_repeated = _attributes(scope.attributes, cuts, limits)
    return Context(
        attributes,
        add_dropped(resource.dropped_attributes_count, repeated),
        [
            EntityRef(ref.schema_url, ref.type, list(ref.id_keys), list(ref.description_keys))
            for ref in resource.entity_refs
        ],
        resource_schema,
        scope.name,
        scope.version,
        scope_attributes,
        add_dropped(scope.dropped_attributes_count, scope_repeated),
        scope_schema,
    )


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
                _add_spans((span,), assembly)
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
                _add_log(record, assembly)
        assembly.close()


def _open_part(part: split.Part, assembly: Assembly) -> bool:
    try:
        resource = Resource.FromString(part.resource)
        scope = InstrumentationScope.FromString(part.scope)
        schemas = part.resource_schema.decode(), part.scope_schema.decode()
    except (DecodeError, UnicodeDecodeError):
        count = len(part.events)
        if count:
            assembly.refuse(split.NOT_PARSED, "the resource or scope of this group", count)
        return False
    cuts: Cuts = Counter()
    context = _context(resource, schemas[0], scope, schemas[1], cuts, assembly.limits)
    assembly.open(context, cuts)
    return True


def _require_spans(body: bytes) -> None:
    """Say so if the body makes sense as another signal; only asked where it makes none as spans."""
    if _holds_logs(body):
        raise WrongSignal(LOGS_ON_TRACES)
    if _holds_metrics(body):
        raise WrongSignal(METRICS_ELSEWHERE)


def _require_logs(body: bytes) -> None:
    """The same for log records."""
    if _holds_spans(body):
        raise WrongSignal(TRACES_ON_LOGS)
    if _holds_metrics(body):
        raise WrongSignal(METRICS_ELSEWHERE)


def _holds_metrics(body: bytes) -> bool:
    """Whether the body makes sense as metrics."""
    try:
        request = ExportMetricsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        metric.name and metric.WhichOneof("data")
        for resource_metrics in request.resource_metrics
        for scope_metrics in resource_metrics.scope_metrics
        for metric in scope_metrics.metrics
    )


def _holds_logs(body: bytes) -> bool:
    """Whether the body makes sense as log records: their times have no counterpart in a span."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        record.time_unix_nano or record.observed_time_unix_nano
        for resource_logs in request.resource_logs
        for scope_logs in resource_logs.scope_logs
        for record in scope_logs.log_records
    )


def _holds_spans(body: bytes) -> bool:
    """Whether the body makes sense as spans."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        len(span.trace_id) == 16 and len(span.span_id) == 8 and span.start_time_unix_nano
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    )

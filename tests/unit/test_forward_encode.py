"""Stored events leave as they came: OTLP → decoded → stored → encoded is the same message."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from events import codec
from service.forward.encode import (
    Item,
    Signal,
    encode_frame,
    encode_record,
    encode_span,
    frame_request,
)
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_logs, decode_traces
from tests.otlp import attributes, counts, log_records, spans, texts
from tests.otlp_messages import either, flat
from tests.thorough import examples


def without_repeats(message: Any) -> Any:
    """`message` less attributes whose key was there before: of those the log keeps one."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        parts = value if field.is_repeated else [value]
        if field.message_type is KeyValue.DESCRIPTOR:
            unique = list({pair.key: pair for pair in reversed(value)}.values())
            message.ClearField(field.name)
            parts = getattr(message, field.name)
            parts.extend(unique)
        for part in parts:
            without_repeats(part)
    return message


names = st.lists(texts, max_size=2)
entities = st.builds(EntityRef, schema_url=texts, type=texts, id_keys=names, description_keys=names)
resources = st.builds(
    Resource,
    attributes=attributes,
    dropped_attributes_count=counts,
    entity_refs=st.lists(entities, max_size=2),
)
scopes = st.builds(
    InstrumentationScope,
    name=texts,
    version=texts,
    attributes=attributes,
    dropped_attributes_count=counts,
)
scope_spans = st.builds(
    ScopeSpans, scope=scopes, schema_url=texts, spans=st.lists(spans, max_size=3)
)
scope_logs = st.builds(
    ScopeLogs, scope=scopes, schema_url=texts, log_records=st.lists(log_records, max_size=3)
)
resource_spans = st.builds(
    ResourceSpans,
    resource=resources,
    schema_url=texts,
    scope_spans=st.lists(scope_spans, max_size=2),
)
resource_logs = st.builds(
    ResourceLogs, resource=resources, schema_url=texts, scope_logs=st.lists(scope_logs, max_size=2)
)
traces = st.builds(ExportTraceServiceRequest, resource_spans=st.lists(resource_spans, max_size=2))
logs = st.builds(ExportLogsServiceRequest, resource_logs=st.lists(resource_logs, max_size=2))


def forwarded(signal: Signal, decoded: Decoded) -> bytes:
    """What a target gets of a decoded request, through the bytes that would be stored."""
    assert decoded.refused == 0, decoded.reasons
    encode: Any = encode_span if signal == "traces" else encode_record
    items = []
    for group in decoded.groups:
        frame = encode_frame(signal, codec.decode_context(group.context))
        items += [
            Item(n, frame, encode(codec.decode_event(row))) for n, row in enumerate(group.rows)
        ]
    return frame_request(items)


def each_resource_is_given_once(request: Any) -> bool:
    resources = [
        (outer.resource.SerializeToString(deterministic=True), outer.schema_url)
        for outer in either(request, "resource_spans", "resource_logs")
    ]
    return len(resources) == len(set(resources))


@settings(max_examples=examples(150), deadline=None)
@given(traces.map(without_repeats))
def test_spans_leave_as_they_came(request: ExportTraceServiceRequest) -> None:
    """Every field of every span, its resource and scope is sent on equal."""
    stored = decode_traces(request.SerializeToString(), Limits())
    sent = ExportTraceServiceRequest.FromString(forwarded("traces", stored))
    assert flat(sent) == flat(request)
    assert each_resource_is_given_once(sent)


@settings(max_examples=examples(150), deadline=None)
@given(logs.map(without_repeats))
def test_log_records_leave_as_they_came(request: ExportLogsServiceRequest) -> None:
    """Every field of every log record, its resource and scope is sent on equal."""
    stored = decode_logs(request.SerializeToString(), Limits())
    sent = ExportLogsServiceRequest.FromString(forwarded("logs", stored))
    assert flat(sent) == flat(request)
    assert each_resource_is_given_once(sent)

"""Stored events leave as they came: OTLP → decoded → stored → encoded is the same message."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from events import codec
from service.forward.encode import (
    Item,
    Signal,
    encode_frame,
    encode_record,
    encode_span,
    frame_request,
)
from service.otlp.decoded import Decoded
from service.otlp.limits import Limits
from service.otlp.protobuf import decode_logs, decode_traces
from tests.otlp_messages import either, flat

text = st.text(max_size=12)
count = st.integers(0, 2**32 - 1)
time_ns = st.integers(0, 2**63 - 1)
start_ns = st.integers(1, 2**63 - 1)
flags = st.integers(0, 2**32 - 1)


def pairs(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[list[KeyValue]]:
    return st.dictionaries(text, values, max_size=4).map(
        lambda held: [KeyValue(key=key, value=value) for key, value in held.items()]
    )


scalars = st.one_of(
    st.just(AnyValue()),
    st.builds(AnyValue, string_value=text),
    st.builds(AnyValue, bool_value=st.booleans()),
    st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
    st.builds(AnyValue, double_value=st.floats()),
    st.builds(AnyValue, bytes_value=st.binary(max_size=8)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda held: AnyValue(array_value=ArrayValue(values=held))),
        pairs(inner).map(lambda held: AnyValue(kvlist_value=KeyValueList(values=held))),
    ),
    max_leaves=6,
)
attributes = pairs(values)


def ids(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size).filter(any)


resources = st.builds(
    Resource,
    attributes=attributes,
    dropped_attributes_count=count,
    entity_refs=st.lists(
        st.builds(
            EntityRef,
            schema_url=text,
            type=text,
            id_keys=st.lists(text, max_size=2),
            description_keys=st.lists(text, max_size=2),
        ),
        max_size=2,
    ),
)
scopes = st.builds(
    InstrumentationScope,
    name=text,
    version=text,
    attributes=attributes,
    dropped_attributes_count=count,
)
spans = st.builds(
    Span,
    trace_id=ids(16),
    span_id=ids(8),
    parent_span_id=st.one_of(st.just(b""), ids(8)),
    trace_state=text,
    flags=flags,
    name=text,
    kind=st.integers(0, 5),
    start_time_unix_nano=start_ns,
    end_time_unix_nano=time_ns,
    attributes=attributes,
    dropped_attributes_count=count,
    events=st.lists(
        st.builds(
            Span.Event,
            time_unix_nano=time_ns,
            name=text,
            attributes=attributes,
            dropped_attributes_count=count,
        ),
        max_size=2,
    ),
    dropped_events_count=count,
    links=st.lists(
        st.builds(
            Span.Link,
            trace_id=ids(16),
            span_id=ids(8),
            trace_state=text,
            attributes=attributes,
            dropped_attributes_count=count,
            flags=flags,
        ),
        max_size=2,
    ),
    dropped_links_count=count,
    status=st.builds(Status, code=st.integers(0, 2), message=text),
)
records = st.builds(
    LogRecord,
    time_unix_nano=start_ns,
    observed_time_unix_nano=time_ns,
    severity_number=st.integers(0, 24),
    severity_text=text,
    body=values,
    attributes=attributes,
    dropped_attributes_count=count,
    flags=flags,
    trace_id=st.one_of(st.just(b""), ids(16)),
    span_id=st.one_of(st.just(b""), ids(8)),
    event_name=text,
)


def requests(
    request: Any, resource: Any, scope: Any, contents: st.SearchStrategy[Any], signal: Signal
) -> st.SearchStrategy[Any]:
    inner, outer = ("spans", "scope_spans") if signal == "traces" else ("log_records", "scope_logs")
    return st.lists(
        st.builds(
            resource,
            resource=resources,
            schema_url=text,
            **{
                outer: st.lists(
                    st.builds(
                        scope,
                        scope=scopes,
                        schema_url=text,
                        **{inner: st.lists(contents, max_size=3)},
                    ),
                    max_size=2,
                )
            },
        ),
        max_size=2,
    ).map(
        lambda held: request(**{"resource_spans" if signal == "traces" else "resource_logs": held})
    )


traces = requests(ExportTraceServiceRequest, ResourceSpans, ScopeSpans, spans, "traces")
logs = requests(ExportLogsServiceRequest, ResourceLogs, ScopeLogs, records, "logs")


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


def each_frame_is_given_once(request: Any) -> bool:
    resources = [
        (outer.resource.SerializeToString(deterministic=True), outer.schema_url)
        for outer in either(request, "resource_spans", "resource_logs")
    ]
    return len(resources) == len(set(resources))


@settings(max_examples=200, deadline=None)
@given(traces)
def test_spans_leave_as_they_came(request: ExportTraceServiceRequest) -> None:
    """Every field of every span, its resource and scope is sent on equal."""
    stored = decode_traces(request.SerializeToString(), Limits())
    sent = ExportTraceServiceRequest.FromString(forwarded("traces", stored))
    assert flat(sent) == flat(request)
    assert each_frame_is_given_once(sent)


@settings(max_examples=200, deadline=None)
@given(logs)
def test_log_records_leave_as_they_came(request: ExportLogsServiceRequest) -> None:
    """Every field of every log record, its resource and scope is sent on equal."""
    stored = decode_logs(request.SerializeToString(), Limits())
    sent = ExportLogsServiceRequest.FromString(forwarded("logs", stored))
    assert flat(sent) == flat(request)
    assert each_frame_is_given_once(sent)

"""OTLP requests for tests: factories, strategies, and a writer of OTLP/JSON."""

import base64
import json
import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

TRACE_ID = bytes(range(16))
SPAN_ID = bytes(range(1, 9))
START_NS = 1_763_700_000_000_000_000


def pair(key: str, value: str | int | AnyValue) -> KeyValue:
    if isinstance(value, str):
        value = AnyValue(string_value=value)
    elif isinstance(value, int):
        value = AnyValue(int_value=value)
    return KeyValue(key=key, value=value)


def make_span(**changes: Any) -> Span:
    """A valid span with `changes`; attributes may be a dict."""
    fields: dict[str, Any] = {
        "trace_id": TRACE_ID, "span_id": SPAN_ID, "name": "charge",
        "start_time_unix_nano": START_NS, "end_time_unix_nano": START_NS + 5,
    }  # fmt: skip
    fields |= changes
    if isinstance(fields.get("attributes"), dict):
        fields["attributes"] = [pair(key, value) for key, value in fields["attributes"].items()]
    return Span(**fields)


def part(number: int, content: bytes) -> bytes:
    """A length-delimited field on the wire, for messages that no library would write."""
    size, head = len(content), b""
    while size > 0x7F:
        head += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + head + bytes([size]) + content


def make_log(**changes: Any) -> LogRecord:
    """A valid log record with `changes`; attributes may be a dict."""
    fields: dict[str, Any] = {"time_unix_nano": START_NS, "body": AnyValue(string_value="hello")}
    fields |= changes
    if isinstance(fields.get("attributes"), dict):
        fields["attributes"] = [pair(key, value) for key, value in fields["attributes"].items()]
    return LogRecord(**fields)


def traces(*spans: Span, resource: Resource | None = None) -> ExportTraceServiceRequest:
    """One request that holds `spans` under one resource and scope."""
    scope = ScopeSpans(scope=InstrumentationScope(name="tests", version="1"), spans=spans)
    resource = resource or Resource(attributes=[pair("service.name", "shop")])
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])]
    )


def logs(*records: LogRecord) -> ExportLogsServiceRequest:
    """One request that holds `records` under one resource and scope."""
    scope = ScopeLogs(scope=InstrumentationScope(name="tests"), log_records=records)
    resource = Resource(attributes=[pair("service.name", "shop")])
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource, scope_logs=[scope])]
    )


def to_json(message: Any) -> bytes:
    """`message` by the OTLP/JSON rules."""
    return json.dumps(_message(message)).encode()


def _message(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.is_repeated:
            found[field.json_name] = [_single(field, item) for item in value]
        else:
            found[field.json_name] = _single(field, value)
    return found


def _single(field: Any, value: Any) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return _message(value)
    if field.type == field.TYPE_BYTES:
        if field.name.endswith("_id"):
            return value.hex()
        return base64.b64encode(value).decode()
    if field.type in (field.TYPE_FIXED64, field.TYPE_INT64):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


texts = st.text(st.characters(codec="utf-8"), max_size=40)
ids_16 = st.binary(min_size=16, max_size=16).filter(any)
ids_8 = st.binary(min_size=8, max_size=8).filter(any)
times_ns = st.integers(0, 2**63 - 1)
counts = st.integers(0, 2**32 - 1)
values = st.recursive(
    st.one_of(
        st.just(AnyValue()),
        texts.map(lambda text: AnyValue(string_value=text)),
        st.booleans().map(lambda flag: AnyValue(bool_value=flag)),
        st.integers(-(2**63), 2**63 - 1).map(lambda number: AnyValue(int_value=number)),
        st.floats(allow_nan=False).map(lambda number: AnyValue(double_value=number)),
        st.just(AnyValue(double_value=math.nan)),
        st.binary(max_size=20).map(lambda data: AnyValue(bytes_value=data)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda v: AnyValue(array_value=ArrayValue(values=v))),
        st.lists(st.builds(KeyValue, key=texts, value=inner), max_size=3).map(
            lambda v: AnyValue(kvlist_value=KeyValueList(values=v))
        ),
    ),
    max_leaves=6,
)
attributes = st.lists(st.builds(KeyValue, key=texts, value=values), max_size=5)
span_events = st.builds(
    Span.Event, time_unix_nano=times_ns, name=texts, attributes=attributes,
    dropped_attributes_count=counts,
)  # fmt: skip
links = st.builds(
    Span.Link, trace_id=ids_16, span_id=ids_8, trace_state=texts, attributes=attributes,
    dropped_attributes_count=counts, flags=counts,
)  # fmt: skip
spans = st.builds(
    Span, trace_id=ids_16, span_id=ids_8, parent_span_id=st.one_of(st.just(b""), ids_8),
    trace_state=texts, flags=counts, name=texts, kind=st.integers(0, 5),
    start_time_unix_nano=st.integers(1, 2**63 - 1), end_time_unix_nano=times_ns,
    attributes=attributes, dropped_attributes_count=counts,
    events=st.lists(span_events, max_size=2), dropped_events_count=counts,
    links=st.lists(links, max_size=2), dropped_links_count=counts,
    status=st.builds(Status, message=texts, code=st.integers(0, 2)),
)  # fmt: skip
log_records = st.builds(
    LogRecord, time_unix_nano=st.integers(1, 2**63 - 1), observed_time_unix_nano=times_ns,
    severity_number=st.integers(0, 24), severity_text=texts, body=values, attributes=attributes,
    dropped_attributes_count=counts, flags=counts, trace_id=st.one_of(st.just(b""), ids_16),
    span_id=st.one_of(st.just(b""), ids_8), event_name=texts,
)  # fmt: skip

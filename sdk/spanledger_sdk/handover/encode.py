"""Spans and lifecycle records as bodies of OTLP requests.

What cannot be encoded is left out alone, and counted.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeVar

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import (
    SEVERITY_NUMBER_INFO,
    LogRecord,
    ResourceLogs,
    ScopeLogs,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk.trace import ReadableSpan

from spanledger_sdk import names
from spanledger_sdk.guard import complain
from spanledger_sdk.handover.encodable import encodable, fitting
from spanledger_sdk.lifecycle.record import Record

Signal = Literal["traces", "logs"]
BODY_LIMIT_BYTES: Final = 3 << 20
CHUNK: Final = 16
"""Encoded in one go. The program's threads wait for the interpreter meanwhile: below 1 ms."""
BREATH_S: Final = 0.0001
_DEPTH: Final = 8
_FIELDS: Final[dict[type, str]] = {
    bool: "bool_value",
    str: "string_value",
    int: "int_value",
    float: "double_value",
    bytes: "bytes_value",
}
_T = TypeVar("_T")


class Body(NamedTuple):
    """One request: what it holds, how many of them, and its bytes."""

    signal: Signal
    items: int
    data: bytes


def bodies_of(spans: Sequence[ReadableSpan], records: Sequence[Record]) -> Iterator[Body]:
    """Requests with all of these; each about `BODY_LIMIT_BYTES` at most."""
    yield from _bodies("logs", records, _encode_records)
    yield from _bodies("traces", spans, _encode_spans)


def _bodies(
    signal: Signal, items: Sequence[_T], encode: Callable[[Sequence[_T]], bytes]
) -> Iterator[Body]:
    parts: list[bytes] = []
    count = size = 0
    for chunk in _encoded(signal, items, encode):
        if parts and size + len(chunk.data) > BODY_LIMIT_BYTES:
            yield Body(signal, count, b"".join(parts))
            parts, count, size = [], 0, 0
        parts.append(chunk.data)  # messages joined are one message: their lists are joined
        count += chunk.items
        size += len(chunk.data)
    if parts:
        yield Body(signal, count, b"".join(parts))


def _encoded(
    signal: Signal, items: Sequence[_T], encode: Callable[[Sequence[_T]], bytes]
) -> Iterator[Body]:
    for at in range(0, len(items), CHUNK):
        chunk = items[at : at + CHUNK]
        try:
            yield Body(signal, len(chunk), encode(chunk))
        except Exception as exc:
            if len(chunk) > 1:
                for item in chunk:
                    yield from _encoded(signal, [item], encode)
            else:
                complain(f"{signal} could not be encoded", exc)
        if len(items) > CHUNK:
            time.sleep(BREATH_S)


def _encode_spans(spans: Sequence[ReadableSpan]) -> bytes:
    data: bytes = encode_spans([encodable(span) for span in spans]).SerializeToString()
    return data


def _encode_records(records: Sequence[Record]) -> bytes:
    scope = InstrumentationScope(name=names.SCOPE, version=names.VERSION)
    by_resource: dict[int, ResourceLogs] = {}
    for record in records:
        resource = record.span.resource
        found = by_resource.get(id(resource))
        if found is None:
            said = Resource(attributes=_pairs(resource.attributes))
            found = ResourceLogs(resource=said, scope_logs=[ScopeLogs(scope=scope)])
            by_resource[id(resource)] = found
        found.scope_logs[0].log_records.append(_log_record(record))
    request = ExportLogsServiceRequest(resource_logs=by_resource.values())
    data: bytes = request.SerializeToString()
    return data


def _log_record(record: Record) -> LogRecord:
    context = record.span.get_span_context()
    assert context is not None
    return LogRecord(
        time_unix_nano=record.time_ns,
        observed_time_unix_nano=record.time_ns,
        severity_number=SEVERITY_NUMBER_INFO,
        event_name=record.event,
        attributes=_pairs(record.attributes()),
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        flags=int(context.trace_flags),
    )


def _pairs(attributes: Mapping[str, Any] | None) -> list[KeyValue]:
    fit = fitting(dict(attributes or {}))
    return [KeyValue(key=key, value=_value(value)) for key, value in fit.items()]


def _value(value: Any, depth: int = 0) -> AnyValue:
    """Of a value that OpenTelemetry let pass as an attribute; empty for any other."""
    field = _FIELDS.get(type(value))
    if field is not None:
        return AnyValue(**{field: value})
    if depth < _DEPTH and isinstance(value, list | tuple):
        values = [_value(item, depth + 1) for item in value]
        return AnyValue(array_value=ArrayValue(values=values))
    if depth < _DEPTH and isinstance(value, Mapping):
        pairs = [KeyValue(key=str(k), value=_value(v, depth + 1)) for k, v in value.items()]
        return AnyValue(kvlist_value=KeyValueList(values=pairs))
    return AnyValue()

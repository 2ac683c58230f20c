"""Stored events back to OTLP, equal field by field to what was stored.

One event is encoded once, into an `Item`; a request is framed around the bytes of its items, so
a batch can be weighed, split and sent again without encoding anything twice. A protobuf message
is the concatenation of its fields, in any order, which is all that the framing relies on.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from events.schema import Attributes, Context, LogRecord, Span

Signal = Literal["traces", "logs"]

_CONTENTS_TAG: Final = b"\x12"
"""Field 2, length-delimited: the scopes of a resource, and the spans or records of a scope."""

_RESOURCES_TAG: Final = b"\x0a"
"""Field 1, length-delimited: the resources of a request."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The encoded resource and scope that items share, without their contents."""

    resource: bytes
    scope: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """One event ready to be sent; `data` is its protobuf message."""

    position: int
    frame: Frame
    data: bytes

    @property
    def size_bytes(self) -> int:
        """The most this item can add to a request."""
        return len(self.data) + len(self.frame.resource) + len(self.frame.scope) + 20


def encode_frame(signal: Signal, context: Context) -> Frame:
    """The resource and scope of `context`, as `signal`'s messages hold them."""
    resource = Resource(
        attributes=_attributes(context.resource_attributes),
        dropped_attributes_count=context.resource_dropped_attributes_count,
        entity_refs=[
            EntityRef(
                schema_url=ref.schema_url,
                type=ref.type,
                id_keys=ref.id_keys,
                description_keys=ref.description_keys,
            )
            for ref in context.resource_entity_refs
        ],
    )
    scope = InstrumentationScope(
        name=context.scope_name,
        version=context.scope_version,
        attributes=_attributes(context.scope_attributes),
        dropped_attributes_count=context.scope_dropped_attributes_count,
    )
    of_resource: Any = trace_pb2.ResourceSpans if signal == "traces" else logs_pb2.ResourceLogs
    of_scope: Any = trace_pb2.ScopeSpans if signal == "traces" else logs_pb2.ScopeLogs
    return Frame(
        of_resource(resource=resource, schema_url=context.resource_schema_url).SerializeToString(),
        of_scope(scope=scope, schema_url=context.scope_schema_url).SerializeToString(),
    )


def encode_span(span: Span) -> bytes:
    """`span` as an OTLP Span message."""
    message = trace_pb2.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        trace_state=span.trace_state,
        flags=span.flags,
        name=span.name,
        kind=span.kind,  # type: ignore[arg-type] # an open enum: numbers unknown here pass too
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_attributes(span.attributes),
        dropped_attributes_count=span.dropped_attributes_count,
        dropped_events_count=span.dropped_events_count,
        dropped_links_count=span.dropped_links_count,
    )
    if span.status_code or span.status_message:
        message.status.code = span.status_code  # type: ignore[assignment]
        message.status.message = span.status_message
    for event in span.events:
        message.events.add(
            time_unix_nano=event.time_ns,
            name=event.name,
            attributes=_attributes(event.attributes),
            dropped_attributes_count=event.dropped_attributes_count,
        )
    for link in span.links:
        message.links.add(
            trace_id=link.trace_id,
            span_id=link.span_id,
            trace_state=link.trace_state,
            attributes=_attributes(link.attributes),
            dropped_attributes_count=link.dropped_attributes_count,
            flags=link.flags,
        )
    data: bytes = message.SerializeToString()
    return data


def encode_record(record: LogRecord) -> bytes:
    """`record` as an OTLP LogRecord message."""
    message = logs_pb2.LogRecord(
        time_unix_nano=record.time_ns,
        observed_time_unix_nano=record.observed_ns,
        severity_number=record.severity_number,  # type: ignore[arg-type]
        severity_text=record.severity_text,
        attributes=_attributes(record.attributes),
        dropped_attributes_count=record.dropped_attributes_count,
        flags=record.flags,
        trace_id=record.trace_id,
        span_id=record.span_id,
        event_name=record.event_name,
    )
    if record.body is not None:
        message.body.CopyFrom(_value(record.body))
    data: bytes = message.SerializeToString()
    return data


def frame_request(items: Iterable[Item]) -> bytes:
    """An Export…ServiceRequest of `items`: one resource and scope for all that share them."""
    resources: dict[bytes, dict[bytes, list[bytes]]] = {}
    for item in items:
        scopes = resources.setdefault(item.frame.resource, {})
        scopes.setdefault(item.frame.scope, []).append(field(_CONTENTS_TAG, item.data))
    return b"".join(
        field(
            _RESOURCES_TAG,
            resource
            + b"".join(
                field(_CONTENTS_TAG, scope + b"".join(held)) for scope, held in scopes.items()
            ),
        )
        for resource, scopes in resources.items()
    )


def field(tag: bytes, data: bytes) -> bytes:
    """A length-delimited field of a message, behind its tag."""
    length, head = len(data), bytearray(tag)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + data


def _attributes(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Any) -> AnyValue:
    return _MAKERS[type(value)](value)


_MAKERS: Final[dict[type, Callable[[Any], AnyValue]]] = {
    str: lambda value: AnyValue(string_value=value),
    bool: lambda value: AnyValue(bool_value=value),
    int: lambda value: AnyValue(int_value=value),
    float: lambda value: AnyValue(double_value=value),
    bytes: lambda value: AnyValue(bytes_value=value),
    list: lambda value: AnyValue(array_value=ArrayValue(values=map(_value, value))),
    dict: lambda value: AnyValue(kvlist_value=KeyValueList(values=_attributes(value))),
    type(None): lambda _: AnyValue(),
}

"""Taking a request apart that does not parse as a whole.

One string of invalid UTF-8 makes protobuf refuse a whole request. Here the same bytes are read
with a descriptor, built at run time, in which resources, scopes and events are plain `bytes`,
so that each event can be parsed alone. A resource or scope may be said in pieces, which protobuf
merges: their bytes one behind the other parse as the merged message. Traces and logs have the same
field numbers. Before OTLP 0.15 scopes were instrumentation libraries, in a field of their own;
they have the same shape.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from events.errors import BadInput
from service.otlp.decode.assembly import span_name

OLD_SCOPES: Final = b"\xc2\x3e"
"""How each scope of a sender from before OTLP 0.15 begins: the tag of field 1000."""
NOT_PARSED: Final = "does not parse: a string is not UTF-8, or it is torn or nested too deeply"

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "spanledger.split"


class Part(NamedTuple):
    """One resource and scope, and the events under them, as their exact bytes."""

    resource: bytes
    resource_schema: bytes
    scope: bytes
    scope_schema: bytes
    events: list[bytes]


def _message(
    file: descriptor_pb2.FileDescriptorProto, name: str, /, **fields: tuple[int, str, bool]
) -> None:
    """Add a message to `file`; a field is (number, message type or "" for bytes, repeated)."""
    message = file.message_type.add(name=name)
    for field_name, (number, type_name, repeated) in fields.items():
        message.field.add(
            name=field_name,
            number=number,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            type=_Field.TYPE_MESSAGE if type_name else _Field.TYPE_BYTES,
            type_name=f".{_PACKAGE}.{type_name}" if type_name else None,
        )


def _classes() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="spanledger/split.proto", package=_PACKAGE, syntax="proto3"
    )
    _message(file, "Scope", scope=(1, "", True), events=(2, "", True), schema=(3, "", False))
    _message(
        file, "Resource", resource=(1, "", True), scopes=(2, "Scope", True),
        schema=(3, "", False), old_scopes=(1000, "Scope", True),
    )  # fmt: skip
    _message(file, "Request", resources=(1, "Resource", True))
    _message(file, "SpanHead", trace_id=(1, "", False), span_id=(2, "", False), name=(5, "", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return tuple(
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Request", "SpanHead")
    )


_Request, _SpanHead = _classes()


def parts_of(body: bytes) -> Iterator[Part]:
    """The parts of an export request that hold events.

    Raises:
        BadInput: not even the outer messages can be read.
    """
    try:
        request = _Request.FromString(body)
    except DecodeError:
        raise BadInput(
            "the body is no OTLP request: its outer messages do not parse as protobuf "
            "(torn, compressed without saying so, or another format)"
        ) from None
    for part in request.resources:
        resource = b"".join(part.resource)
        for scope in (*part.scopes, *part.old_scopes):
            if events := list(scope.events):
                yield Part(resource, part.schema, b"".join(scope.scope), scope.schema, events)


def name_of(data: bytes) -> str:
    """The name of a span that does not parse, as far as it can be read."""
    try:
        head = _SpanHead.FromString(data)
    except DecodeError:
        return f"span of {len(data)} bytes"
    return span_name(head.name.decode(errors="replace"), head.trace_id, head.span_id)


def unread_bytes(message: Any) -> int:
    """How many bytes of a parsed `message` are in fields that are not known; they are let go."""
    size: int = message.ByteSize()
    message.DiscardUnknownFields()
    return size - int(message.ByteSize())

"""The messages and services of `storage.proto`, made when this is imported.

A compiler at build time would leave a thousand generated lines that nobody reads, tied to one
release of protobuf. The file uses little of the language, so it is read here.
"""

import re
from collections.abc import Iterator
from importlib import resources
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

PACKAGE: Final = "jaeger.storage.v2"
_FILE: Final = "storage.proto"
_NEEDED: Final = (timestamp_pb2, duration_pb2, common_pb2, resource_pb2, trace_pb2)
_SCALARS: Final = {
    name: getattr(FieldDescriptorProto, f"TYPE_{name.upper()}")
    for name in ("string", "bytes", "bool", "int32", "int64", "uint64", "fixed64", "double")
}
_REPEATED: Final = FieldDescriptorProto.LABEL_REPEATED
_OPTIONAL: Final = FieldDescriptorProto.LABEL_OPTIONAL
_field = re.compile(r"(repeated )?([\w.]+) (\w+) = (\d+);").fullmatch
_block = re.compile(r"^(message|service) (\w+) \{\n(.*?)^\}", re.M | re.S)
_rpc = re.compile(r"rpc (\w+)\((\w+)\) returns \((stream )?([\w.]+)\) \{\}").fullmatch


class Method(NamedTuple):
    """A method: what it takes, what it gives, and whether that is a stream."""

    name: str
    takes: Any
    gives: Any
    is_stream: bool


def _lines(body: str) -> Iterator[str]:
    return (line.strip() for line in body.splitlines())


def _message(name: str, body: str) -> DescriptorProto:
    made = DescriptorProto(name=name)
    for line in _lines(body):
        if line.startswith("oneof "):
            made.oneof_decl.add(name=line.split()[1])
        elif (found := _field(line)) is not None:
            repeated, kind, field, number = found.groups()
            label = _REPEATED if repeated else _OPTIONAL
            added = made.field.add(name=field, number=int(number), label=label)
            if kind in _SCALARS:
                added.type = _SCALARS[kind]
            else:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = _full(kind)
            if made.oneof_decl:
                added.oneof_index = 0
    return made


def _service(name: str, body: str) -> ServiceDescriptorProto:
    made = ServiceDescriptorProto(name=name)
    for line in _lines(body):
        if (found := _rpc(line)) is not None:
            method, takes, stream, gives = found.groups()
            made.method.add(
                name=method, input_type=_full(takes), output_type=_full(gives),
                server_streaming=bool(stream),
            )  # fmt: skip
    return made


def _full(kind: str) -> str:
    return f".{kind}" if "." in kind else f".{PACKAGE}.{kind}"


def _pool() -> descriptor_pool.DescriptorPool:
    """A pool of its own: another package may have made messages of the same names."""
    text = resources.files("service.jaeger").joinpath(_FILE).read_text("utf-8")
    file = FileDescriptorProto(name=f"{PACKAGE}.{_FILE}", package=PACKAGE, syntax="proto3")
    file.dependency.extend(re.findall(r'^import "(.*)";', text, re.M))
    for kind, name, body in _block.findall(text):
        if kind == "message":
            file.message_type.append(_message(name, body))
        else:
            file.service.append(_service(name, body))
    made = descriptor_pool.DescriptorPool()
    for module in _NEEDED:
        made.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    made.AddSerializedFile(file.SerializeToString())
    return made


POOL: Final = _pool()


def message(name: str) -> Any:
    """The class of a message."""
    found = POOL.FindMessageTypeByName(f"{PACKAGE}.{name}")
    return message_factory.GetMessageClass(found)


def methods(service: str) -> list[Method]:
    """The methods of a service."""
    described = POOL.FindServiceByName(f"{PACKAGE}.{service}")
    made = message_factory.GetMessageClass
    return [
        Method(m.name, made(m.input_type), made(m.output_type), m.server_streaming)
        for m in described.methods
    ]

"""Requests as trees of fields, changed without losing their shape.

Changed bytes mostly tear a request, and are refused at once. Here fields are said again, said in
pieces, moved to other messages, renumbered or torn, and the lengths around them stay right: that
is how decoders come to differ.
"""

import copy
import random
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Message = list[list[Any]]
"""Fields, each [number, wire type, value], changed in place; a value may be a message again."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_REQUEST: Final = ExportTraceServiceRequest.DESCRIPTOR
_NUMBERS: Final = (*range(1, 17), 1000)
_INTEGERS: Final = (0, 1, 127, 128, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)
_TEXTS: Final = (b"", b"\0", b"\xff", b"x" * 70, "é€𝄞".encode())
_VALUES: Final = {VARINT: 7, FIXED64: b"12345678", BYTES: b"ab", FIXED32: b"1234"}
_TORN: Final = b"\x0f"
"""No field begins like this."""


def read_message(data: bytes, kind: Descriptor | None = _REQUEST) -> Message:
    """The fields of `data`, down to where `kind` has no messages; ValueError if it is none."""
    message: Message = []
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, wire_type = key >> 3, key & 7
        value: Any
        if wire_type == VARINT:
            value, at = _read_varint(data, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
            if size is None:
                size, at = _read_varint(data, at)
            value = data[at : at + size]
            at += size
            inner = _kind_of(kind, number)
            if wire_type == BYTES and inner is not None:
                value = read_message(value, inner)
        message.append([number, wire_type, value])
    if at > len(data):
        raise ValueError("torn")
    return message


def write_message(message: Message) -> bytes:
    """The bytes of `message`."""
    data = bytearray()
    for number, wire_type, value in message:
        data += _varint(number << 3 | wire_type)
        content = write_message(value) if isinstance(value, list) else value
        if isinstance(content, int):
            data += _varint(content)
            continue
        if wire_type == BYTES:
            data += _varint(len(content))
        data += content
    return bytes(data)


def change(request: Message, chance: random.Random) -> None:
    """Change `request` in one to six places."""
    for _ in range(chance.randint(1, 6)):
        messages = list(_messages(request))
        message = chance.choice(messages)
        if message:
            chance.choice(_CHANGES)(message, chance, messages)


def _again(message: Message, chance: random.Random, _: list[Message]) -> None:
    """A field comes once more, or often."""
    field = chance.choice(message)
    for _count in range(chance.choice((1, 2, 8))):
        message.insert(chance.randrange(len(message) + 1), copy.deepcopy(field))


def _gone(message: Message, chance: random.Random, _: list[Message]) -> None:
    message.pop(chance.randrange(len(message)))


def _shuffled(message: Message, chance: random.Random, _: list[Message]) -> None:
    chance.shuffle(message)


def _foreign(message: Message, chance: random.Random, messages: list[Message]) -> None:
    """A field of another message comes in."""
    others = chance.choice(messages)
    if others:
        place = chance.randrange(len(message) + 1)
        message.insert(place, copy.deepcopy(chance.choice(others)))


def _renumbered(message: Message, chance: random.Random, _: list[Message]) -> None:
    chance.choice(message)[0] = chance.choice(_NUMBERS)


def _retyped(message: Message, chance: random.Random, _: list[Message]) -> None:
    wire_type = chance.choice(list(_VALUES))
    chance.choice(message)[1:] = [wire_type, _VALUES[wire_type]]


def _other_value(message: Message, chance: random.Random, _: list[Message]) -> None:
    field = chance.choice(message)
    if field[1] == VARINT:
        field[2] = chance.choice(_INTEGERS)
    elif field[1] == BYTES:
        field[2] = chance.choice(_TEXTS)


def _torn(message: Message, chance: random.Random, _: list[Message]) -> None:
    """A message that does not parse, among others that do."""
    field = chance.choice(message)
    if isinstance(field[2], list):
        field[2] = write_message(field[2]) + _TORN


def _in_pieces(message: Message, chance: random.Random, _: list[Message]) -> None:
    """A message is said in two pieces, which protobuf merges where there is only one."""
    place = chance.randrange(len(message))
    number, wire_type, value = message[place]
    if isinstance(value, list):
        cut = chance.randrange(len(value) + 1)
        message[place : place + 1] = [
            [number, wire_type, value[:cut]], [number, wire_type, value[cut:]],
        ]  # fmt: skip


_CHANGES: Final = (
    _again, _gone, _shuffled, _foreign, _renumbered, _retyped, _other_value, _torn, _in_pieces,
)  # fmt: skip


def _messages(message: Message) -> Iterator[Message]:
    yield message
    for _number, _type, value in message:
        if isinstance(value, list):
            yield from _messages(value)


def _kind_of(kind: Descriptor | None, number: int) -> Descriptor | None:
    field = kind.fields_by_number.get(number) if kind else None
    return field.message_type if field else None


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    raise ValueError("torn")


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])

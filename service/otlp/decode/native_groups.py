"""What the native decoder leaves to the reference, put in its place among the rows.

The native decoder writes the spans that lose nothing. The others it leaves: those that must be
cut or merged, and those that are refused, of which it names the first and counts the rest.
"""

from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from service.otlp.decode import protobuf, split
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import Limits

# What the reference may cost a request: a large span is paid for by its own bytes, many small
# ones are not.
_SPAN_WEIGHT: Final = 40
_BYTES: Final = 10
_FEW_WEIGHT: Final = 10_000
_WEIGHT_PER_BYTE: Final = 0.25
_TOO_MANY: Final = (
    "is over a limit or has fields twice, like too many others of its request; send smaller "
    "batches, or raise the limits"
)
_UNNAMED: Final = "is malformed, or its ids or times are missing or out of range"


class Raw(NamedTuple):
    """One scope. `context` is None if the reference must read it: `resource` is its number.

    `left` are spans for the reference: rows before it, whether it must be cut or merged, bytes.
    `unnamed` counts further ones that are refused.
    """

    context: bytes | None
    rows: list[bytes]
    text: bytes
    text_ends: list[int]
    time_min_ns: int
    time_max_ns: int
    keyed: bool
    left: list[tuple[int, bool, bytes]]
    unnamed: int
    resource: int
    scope: bytes
    scope_schema: bytes


class Merger:
    """Makes a `Decoded` of the native groups of a body of `size` bytes."""

    def __init__(
        self, limits: Limits, resources: list[tuple[bytes, bytes] | None], size: int
    ) -> None:
        self._assembly = Assembly(limits)
        self._resources = resources
        self._weight_left = _FEW_WEIGHT + int(_WEIGHT_PER_BYTE * size)
        self._parsed: dict[int, Any] = {}

    def merged(self, groups: list[Raw], unread_bytes: int) -> Decoded:
        """Everything that was decoded, the reference's spans in their places."""
        for raw in groups:
            if raw.context is not None and not (raw.left or raw.unnamed):
                self._assembly.add_group(Group(raw.context, *raw[1:7]))
            else:
                self._add(raw)
        return self._assembly.finish(unread_bytes)

    def _add(self, raw: Raw) -> None:
        assembly = self._assembly
        if raw.context is not None:
            assembly.open_encoded(raw.context)
        elif not self._open(raw):
            count = len(raw.rows) + len(raw.left) + raw.unnamed
            assembly.refuse(split.NOT_PARSED, "the resource or scope of this group", count)
            return
        at = 0
        for place, is_odd, data in raw.left:
            self._adopt(raw, at, place)
            at = place
            self._add_left(data, is_odd)
        self._adopt(raw, at, len(raw.rows))
        if raw.unnamed:
            assembly.refuse(_UNNAMED, "a span", raw.unnamed)
        assembly.close(keyed=raw.keyed)

    def _adopt(self, raw: Raw, start: int, end: int) -> None:
        if start < end:
            times = raw.time_min_ns, raw.time_max_ns
            self._assembly.adopt(raw.rows, raw.text, raw.text_ends, start, end, times)

    def _add_left(self, data: bytes, is_odd: bool) -> None:
        if is_odd:
            self._weight_left -= _SPAN_WEIGHT + len(data) // _BYTES
            if self._weight_left < 0:
                self._assembly.refuse(_TOO_MANY, "a span")
                return
        try:
            span = trace_pb2.Span.FromString(data)
        except DecodeError:
            self._assembly.refuse(split.NOT_PARSED, split.name_of(data))
            return
        self._weight_left -= len(span.attributes) + len(span.events) + len(span.links)
        if self._weight_left < 0:
            self._assembly.refuse(_TOO_MANY, split.name_of(data))
        else:
            protobuf.add_spans((span,), self._assembly)

    def _open(self, raw: Raw) -> bool:
        if raw.resource not in self._parsed:
            found = self._resources[raw.resource]
            assert found is not None
            self._parsed[raw.resource] = protobuf.read_resource(*found, self._assembly.limits)
        resource = self._parsed[raw.resource]
        return protobuf.open_scope(resource, raw.scope, raw.scope_schema, self._assembly)

"""What the native decoder leaves to the reference, put in its place among the rows.

The native decoder writes most spans. The others it leaves: those that must be merged or whose
keys are too long, and those that are refused, of which it names the first and counts the rest.
What it leaves may cost no more than a request of its size is worth; beyond that, spans are
refused.
"""

from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.trace.v1 import trace_pb2

from service.otlp.decode import protobuf, split
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import ATTRIBUTE, DEPTH, LINK, SPAN_EVENT, STRING, Limits

# What the reference may cost a request, in objects that it makes, each about a microsecond.
_EACH_WEIGHT: Final = 15
_FEW_WEIGHT: Final = 600
_WEIGHT_PER_BYTE: Final = 1 / 80
_TOO_MANY: Final = (
    "costs more to decode than a request of this size may: it says a field twice, has keys over "
    "the limit of strings, values nested over 40 deep or over 262144 parts of a kind; mend that, "
    "or send fewer such at once"
)
_CUTS: Final = (ATTRIBUTE, DEPTH, SPAN_EVENT, LINK, STRING)
_UNNAMED: Final = "is malformed, or its ids or times are missing or out of range"


class Raw(NamedTuple):
    """One scope. `context` is None if the reference must read it: `resource` is its number.

    `left` are spans for the reference: rows before it, whether it must be cut or merged, its
    weight, its bytes.
    `unnamed` counts further ones that are refused. `cut` counts what `_CUTS` names.
    """

    context: bytes | None
    rows: list[bytes]
    text: bytes
    text_ends: list[int]
    time_min_ns: int
    time_max_ns: int
    keyed: bool
    left: list[tuple[int, bool, int, bytes]]
    unnamed: int
    resource: int
    scope: bytes
    scope_schema: bytes
    scope_weight: int
    cut: tuple[int, int, int, int, int]


class Merger:
    """Makes a `Decoded` of the native groups of a body of `size` bytes."""

    def __init__(
        self, limits: Limits, resources: list[tuple[bytes, bytes, int] | None], size: int
    ) -> None:
        self._assembly = Assembly(limits, size)
        self._resources = resources
        self._weight_left = _FEW_WEIGHT + int(_WEIGHT_PER_BYTE * size)
        self._parsed: dict[int, Any] = {}

    def merged(self, groups: list[Raw], unread_bytes: int) -> Decoded:
        """Everything that was decoded, the reference's spans in their places."""
        for raw in groups:
            if raw.context is not None and not (raw.left or raw.unnamed):
                self._assembly.add_group(Group(raw.context, *raw[1:7]))
                self._count_cuts(raw)
            else:
                self._add(raw)
        return self._assembly.finish(unread_bytes)

    def _add(self, raw: Raw) -> None:
        assembly = self._assembly
        if raw.context is not None:
            assembly.open_encoded(raw.context)
        elif fault := self._open(raw):
            count = len(raw.rows) + len(raw.left) + raw.unnamed
            assembly.refuse(fault, "the resource or scope of this group", count)
            return
        self._count_cuts(raw)
        at = 0
        for place, is_odd, weight, data in raw.left:
            self._adopt(raw, at, place)
            at = place
            self._add_left(data, weight, _TOO_MANY if is_odd else _UNNAMED)
        self._adopt(raw, at, len(raw.rows))
        if raw.unnamed:
            assembly.refuse(_UNNAMED, "a span", raw.unnamed)
        assembly.close(keyed=raw.keyed)

    def _count_cuts(self, raw: Raw) -> None:
        if any(raw.cut):
            self._assembly.count_cuts(dict(zip(_CUTS, raw.cut, strict=True)))

    def _adopt(self, raw: Raw, start: int, end: int) -> None:
        if start < end:
            times = raw.time_min_ns, raw.time_max_ns
            self._assembly.adopt(raw.rows, raw.text, raw.text_ends, start, end, times)

    def _add_left(self, data: bytes, weight: int, fault: str) -> None:
        """Let the reference take a span; if that costs too much, refuse it for `fault`."""
        if not self._affords(weight):
            self._assembly.refuse(fault, "a span")
            return
        try:
            span = trace_pb2.Span.FromString(data)
        except DecodeError:
            self._assembly.refuse(split.NOT_PARSED, split.name_of(data))
        else:
            protobuf.add_spans((span,), self._assembly)

    def _affords(self, weight: int) -> bool:
        """Take `weight` from what is left; whether there was as much."""
        weight += _EACH_WEIGHT
        if weight > self._weight_left:
            return False
        self._weight_left -= weight
        return True

    def _open(self, raw: Raw) -> str:
        """Begin a group with the reference's context; why it can't be, empty if it can."""
        if raw.resource not in self._parsed:
            found = self._resources[raw.resource]
            assert found is not None
            message, schema, weight = found
            if not self._affords(weight):
                return _TOO_MANY
            self._parsed[raw.resource] = protobuf.read_resource(
                message, schema, self._assembly.limits
            )
        if not self._affords(raw.scope_weight):
            return _TOO_MANY
        resource = self._parsed[raw.resource]
        is_open = protobuf.open_scope(resource, raw.scope, raw.scope_schema, self._assembly)
        return "" if is_open else split.NOT_PARSED

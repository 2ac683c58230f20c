"""Single values of OTLP/JSON: what protobuf would have carried, or a `Fault`."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from events.schema import Attributes
from service.otlp.decode import json_types as wire
from service.otlp.decode.limits import ATTRIBUTE, DEPTH, MAX_DEPTH, Cuts, Limits

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
_UINT32: Final = 1 << 32
_URL_SAFE: Final = str.maketrans("-_", "+/")
_HEX: Final = frozenset("0123456789abcdefABCDEF")

_KINDS: Final[EnumTypeWrapper] = Span.SpanKind
_CODES: Final[EnumTypeWrapper] = Status.StatusCode
_SEVERITIES: Final[EnumTypeWrapper] = SeverityNumber


class Fault(ValueError):
    """A value breaks the OTLP/JSON rules; the event that holds it is refused."""


def integer(value: wire.Integer, field: str) -> int:
    """A whole number of any size; 0 if absent."""
    if value.__class__ is int:
        return value
    if value is None:
        return 0
    if isinstance(value, float):
        if not value.is_integer():
            raise Fault(f"{field} is no whole number")
        return int(value)
    text = str(value)
    digits = text.removeprefix("-")
    if len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        raise Fault(f"{field} is no whole number: {text[:40]!r}")
    return int(text)


def uint32(value: wire.Integer, field: str) -> int:
    """A dropped count or flags; 0 if absent."""
    if value is None:
        return 0
    number = integer(value, field)
    if not 0 <= number < _UINT32:
        raise Fault(f"{field} is out of range (0 to 2^32 - 1)")
    return number


def time_ns(value: wire.Integer, field: str) -> int:
    """A time; what is too large is left for the check that all encodings share."""
    number = integer(value, field)
    if number < 0:
        raise Fault(f"{field} is negative")
    return min(number, _INT64)


def span_kind(value: wire.Integer) -> int:
    """The number of a span kind."""
    return _enum(value, _KINDS, "kind")


def status_code(value: wire.Integer) -> int:
    """The number of a status code."""
    return _enum(value, _CODES, "status code")


def severity(value: wire.Integer) -> int:
    """The number of a severity."""
    return _enum(value, _SEVERITIES, "severity_number")


def _enum(value: wire.Integer, names: EnumTypeWrapper, field: str) -> int:
    if value is None:
        return 0
    if isinstance(value, str) and value in names.keys():  # noqa: SIM118 - not a mapping
        return int(names.Value(value))
    number = integer(value, field)
    if not -_INT32 <= number < _INT32:
        raise Fault(f"{field} is out of range")
    return number


def hex_id(value: str | None, field: str) -> bytes:
    """An id; empty if absent. Its length is checked where all encodings are."""
    if not value:
        return b""
    if len(value) % 2 or not _HEX.issuperset(value):
        raise Fault(f"{field} is not hex: {value[:40]!r} (OTLP/JSON does not use base64 for ids)")
    return bytes.fromhex(value)


def attributes(
    pairs: Sequence[wire.KeyValue] | None, cuts: Cuts, limits: Limits
) -> tuple[Attributes, int]:
    """The attributes as a map, and how many were cut or lost because their key came again."""
    if not pairs:
        return {}, 0
    found = {
        pair.key or "": None if pair.value is None else any_value(pair.value, cuts, limits, 0)
        for pair in limits.attributes(pairs, cuts)
    }
    return found, len(pairs) - len(found)


def any_value(value: wire.AnyValue | None, cuts: Cuts, limits: Limits, depth: int) -> Any:
    """The Python value; nil if none is set."""
    if value is None or value.string_value is not None:
        return value and value.string_value
    if value.int_value is not None:
        number = integer(value.int_value, "intValue")
        if not -_INT64 <= number < _INT64:
            raise Fault("intValue is out of range (64 bit, signed)")
        return number
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _double(value.double_value)
    if value.bytes_value is not None:
        return _bytes(value.bytes_value)
    return _container(value, cuts, limits, depth)


def _container(value: wire.AnyValue, cuts: Cuts, limits: Limits, depth: int) -> Any:
    array, pairs = value.array_value, value.kvlist_value
    if array is None and pairs is None:
        return None
    if depth >= MAX_DEPTH:
        cuts[DEPTH] += 1
        return None
    if array is not None:
        return [any_value(item, cuts, limits, depth + 1) for item in array.values or ()]
    items = (pairs.values if pairs else None) or []
    if len(items) > limits.max_attributes:
        cuts[ATTRIBUTE] += len(items) - limits.max_attributes
        items = items[: limits.max_attributes]
    return {item.key or "": any_value(item.value, cuts, limits, depth + 1) for item in items}


def _double(value: int | float | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise Fault(f"doubleValue is no number: {str(value)[:40]!r}") from None


def _bytes(value: str) -> bytes:
    padded = value.rstrip("=").translate(_URL_SAFE)
    padded += "=" * (-len(padded) % 4)
    try:
        return base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        raise Fault("bytesValue is not base64") from None

"""From what a failure says to its number: its signature, and the pattern that this belongs to."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

import msgspec

from events import names
from projections.errors.record import Record
from projections.errors.signature import signature_of
from projections.errors.telling import KEYS
from projections.runs import words
from projections.runs.registry.numbers import Registry

NOTHING: Final[Mapping[str, Any]] = {}

_FIELDS: Final = tuple(f"key_{place}" for place in range(len(KEYS)))
_Told: Final = msgspec.defstruct(
    "_Told",
    [(field, Any, msgspec.UNSET) for field in _FIELDS],
    rename=dict(zip(_FIELDS, KEYS, strict=True)),
    gc=False,
)
"""The attributes that matter: the others are passed over, not decoded."""
_UNTOLD: Final = _Told()
_values_of: Final = attrgetter(*_FIELDS)


def _told(attributes: Any) -> dict[str, Any]:
    if attributes == _UNTOLD:  # most
        return {}
    given = zip(KEYS, _values_of(attributes), strict=True)
    return {key: value for key, value in given if value is not msgspec.UNSET}


class _Event(msgspec.Struct, array_like=True, gc=False):
    time_ns: int
    name: str
    attributes: _Told  # type: ignore[valid-type]


class _Span(msgspec.Struct, array_like=True, tag=names.SPAN, gc=False):
    """A span's row up to its events."""

    trace_id: msgspec.Raw
    span_id: msgspec.Raw
    parent_span_id: msgspec.Raw
    trace_state: msgspec.Raw
    flags: int
    name: msgspec.Raw
    kind: int
    start_ns: int
    end_ns: int
    attributes: _Told  # type: ignore[valid-type]
    dropped_attributes_count: int
    events: list[_Event]


class _Log(msgspec.Struct, array_like=True, tag=names.LOG_RECORD, gc=False):
    """A log record's row up to its attributes."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: msgspec.Raw
    body: msgspec.Raw
    attributes: _Told  # type: ignore[valid-type]


_decode_span = msgspec.msgpack.Decoder(_Span).decode
_decode_log = msgspec.msgpack.Decoder(_Log).decode


def told_by_span(row: bytes) -> Mapping[str, Any]:
    """The attributes of a span that tell which error it is: its own, over them the exception's.

    Read only of spans that failed: those that did not would pay for it. A shorter way to what
    `errors.telling.told_by` gives, which passes over all other attributes undecoded.
    """
    span = _decode_span(row)
    told = _told(span.attributes)
    for event in reversed(span.events):
        if event.name == names.EXCEPTION_EVENT:
            told |= _told(event.attributes)
            break
    return told


def told_by_log(row: bytes) -> Mapping[str, Any]:
    """The same of a log record."""
    return _told(_decode_log(row).attributes)


def error_no(
    registry: Registry,
    tenant_no: int,
    status: int,
    said: tuple[str | None, str, str],
    told: Mapping[str, Any] = NOTHING,
) -> int:
    """The number of a failure's error.

    Args:
        status: how the attempt ended, which is all that is known where nothing is said.
        said: type, message and stack trace.
        told: the attributes that matter.
    """
    type_, message, stack = said
    if type_ is None and not message and not stack:
        message = words.STATUS_WORDS[status]
    signature = signature_of(Record(type_ or "", message, stack, told))
    return registry.error_no(tenant_no, signature, (type_, message, stack))

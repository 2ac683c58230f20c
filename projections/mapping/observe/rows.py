"""Rows of the log as observations read them, and where each own source stands in them."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from events import names
from events.codec import tag_mark
from events.schema import Attributes, Context
from projections.mapping.rules.sources import event_of
from projections.runs.values import text_of

SPAN_MARK: Final = tag_mark(names.SPAN)
LOG_MARK: Final = tag_mark(names.LOG_RECORD)
EVENTS_LIMIT: Final = 4_096
"""No more events of one name are kept of a span."""
KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
CODES: Final = ("UNSET", "OK", "ERROR")


class EventRow(msgspec.Struct, array_like=True, gc=False):
    """`schema.SpanEvent`."""

    time_ns: int
    name: str
    attributes: Attributes


class SpanRow(msgspec.Struct, array_like=True, tag=names.SPAN, gc=False):
    """`schema.Span`; what few rules ask for stays undecoded."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: msgspec.Raw
    flags: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    dropped_attributes_count: int
    events: list[EventRow]
    dropped_events_count: int
    links: msgspec.Raw
    dropped_links_count: int
    status_code: int
    status_message: str


class LogRow(msgspec.Struct, array_like=True, tag=names.LOG_RECORD, gc=False):
    """`schema.LogRecord`."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: msgspec.Raw
    body: Any
    attributes: Attributes
    dropped_attributes_count: int
    flags: int
    trace_id: bytes
    span_id: bytes
    event_name: str


decode_span = msgspec.msgpack.Decoder(SpanRow).decode
decode_log = msgspec.msgpack.Decoder(LogRow).decode
decode_context = msgspec.msgpack.Decoder(Context).decode

Row = SpanRow | LogRow
Getter = Callable[[Any], Any]


def event_name_of(row: LogRow) -> str:
    """The record's event name, also where its sender's API has no field for it."""
    return row.event_name or text_of(row.attributes.get(names.EVENT_NAME)) or ""


def from_context(own: str, context: Context) -> Any:
    """The value of a source that all events of a block share."""
    if own == "scope":
        return context.scope_name or None
    if own == "scope.version":
        return context.scope_version or None
    return context.resource_attributes.get(own.removeprefix("resource."))


def span_getter(own: str) -> Getter:
    """What reads an own source from a span."""
    if own.startswith("attr."):
        key = own[5:]
        return lambda row: row.attributes.get(key)
    if found := event_of(own):
        return _events_getter(*found)
    return _SPAN.get(own, _nothing)


def log_getter(own: str) -> Getter:
    """What reads an own source from a log record."""
    if own.startswith("attr."):
        key = own[5:]
        return lambda row: row.attributes.get(key)
    return _LOG.get(own, _nothing)


def _events_getter(name: str, key: str) -> Getter:
    def get(row: SpanRow) -> Any:
        found = [
            (event.time_ns, event.attributes[key])
            for event in row.events
            if event.name == name and key in event.attributes
        ]
        return found[-EVENTS_LIMIT:] or None

    return get


def _nothing(_: Row) -> None:
    return None


def _kind(row: SpanRow) -> str:
    return KINDS[row.kind] if 0 <= row.kind < len(KINDS) else str(row.kind)


def _code(row: SpanRow) -> str:
    return CODES[row.status_code] if 0 <= row.status_code < len(CODES) else str(row.status_code)


_SPAN: Final[dict[str, Getter]] = {
    "name": lambda row: row.name,
    "kind": _kind,
    "trace_id": lambda row: row.trace_id.hex(),
    "span_id": lambda row: row.span_id.hex(),
    "parent_span_id": lambda row: row.parent_span_id.hex() or None,
    "start": lambda row: row.start_ns,
    "end": lambda row: row.end_ns or None,
    "status.code": _code,
    "status.message": lambda row: row.status_message or None,
}
_LOG: Final[dict[str, Getter]] = {
    "event_name": lambda row: event_name_of(row) or None,
    "name": lambda row: event_name_of(row) or None,
    "body": lambda row: row.body,
    "trace_id": lambda row: row.trace_id.hex() or None,
    "span_id": lambda row: row.span_id.hex() or None,
    "start": lambda row: row.time_ns or row.observed_ns,
}

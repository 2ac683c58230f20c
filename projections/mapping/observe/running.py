"""Spans that still run, in the forms in which they are told: each becomes a span without an end.

- A log record `task.attempt.started` of a span that another instrumentation made carries the span's
  attributes, and what identifies it: `otel.scope.name`, `span.name`, `span.kind`, `span.parent_id`.
- A pending span of Logfire is a copy below the span that runs: an id of its own, no duration, and
  the running span's parent in `logfire.pending_parent_id`.
- A span without an end, or with one before its start, is one already.
"""

from typing import Any, Final

import msgspec

from events import codec, names
from events.schema import Span
from projections.mapping.observe.rows import KINDS, LogRow, SpanRow, event_name_of

SCOPE: Final = "otel.scope.name"
SCOPE_MARK: Final = SCOPE.encode()
PENDING_MARK: Final = b"pending_span"
_NAME, _KIND, _PARENT = "span.name", "span.kind", "span.parent_id"
_PENDING, _PENDING_PARENT = "logfire.span_type", "logfire.pending_parent_id"
_EMPTY: Final = msgspec.Raw(b"\x90")
_ID_DIGITS: Final = 16


def announced(row: LogRow) -> tuple[str, SpanRow] | None:
    """The scope and the span that a record says has begun; None if it says no such thing."""
    said = row.attributes
    scope, kind = said.get(SCOPE), said.get(_KIND)
    if event_name_of(row) != names.ATTEMPT_STARTED or not row.trace_id or not row.span_id:
        return None
    if not isinstance(scope, str) or not scope:
        return None
    return scope, SpanRow(
        trace_id=row.trace_id, span_id=row.span_id, parent_span_id=_span_id(said.get(_PARENT)),
        trace_state=_EMPTY, flags=0, name=str(said.get(_NAME) or ""),
        kind=KINDS.index(kind) if kind in KINDS else 0,
        start_ns=row.time_ns or row.observed_ns, end_ns=0, attributes=said,
        dropped_attributes_count=0, events=[], dropped_events_count=0, links=_EMPTY,
        dropped_links_count=0, status_code=0, status_message="",
    )  # fmt: skip


def as_running(row: bytes) -> bytes:
    """The row of the running span that a pending span tells of; any other row itself."""
    if PENDING_MARK not in row:
        return row
    span = codec.decode_event(row)
    if not isinstance(span, Span) or span.attributes.get(_PENDING) != "pending_span":
        return row
    parent = _span_id(span.attributes.get(_PENDING_PARENT))
    return codec.encode_event(
        msgspec.structs.replace(span, span_id=span.parent_span_id, parent_span_id=parent, end_ns=0)
    )


def _span_id(text: Any) -> bytes:
    """The id that hex digits mean; none for zeros or anything else."""
    if not isinstance(text, str) or len(text) != _ID_DIGITS:
        return b""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return b""
    return found if any(found) else b""

"""The rows of the log as the extraction reads them: only what counts is decoded.

Most rows of a log concern no task. They are told by a search in their bytes, before decoding.
"""

from typing import Any, Final

import msgspec

from events import codec, names
from events.schema import Context, Span
from projections.runs.facts import LogKind
from projections.runs.more import MoreAttributes
from projections.runs.values import text_of

TASK_ID_BYTES: Final = b"\xa7" + names.TASK_ID.encode()  # a msgpack string of 7 bytes
SPAN_MARK: Final = codec.tag_mark(names.SPAN)
LOG_MARK: Final = codec.tag_mark(names.LOG_RECORD)
_SPAN_HEAD: Final = codec.array_header(1 + len(Span.__struct_fields__)) + SPAN_MARK
_ABANDONED: Final = b"attempt_abandoned"
_KIND_END: Final = 48  # a row begins with its array header, its tag, and a fact's kind
LIFECYCLE: Final = {
    names.ATTEMPT_STARTED: LogKind.STARTED,
    names.ATTEMPT_HEARTBEAT: LogKind.HEARTBEAT,
    names.ATTEMPT_PROGRESS: LogKind.PROGRESS,
    names.ATTEMPT_ENDED: LogKind.ENDED,
}


def matters(row: bytes) -> bool:
    """Whether a row may tell something of a task; wrong only in being too generous."""
    if TASK_ID_BYTES in row:
        return True
    if row.startswith(_SPAN_HEAD):  # most of those that concern no task
        return False
    if codec.is_tagged(row, LOG_MARK):
        return b"exception." in row or b"task.attempt." in row
    return _ABANDONED in row[:_KIND_END]


class TaskAttributes(
    MoreAttributes,
    gc=False,
    rename={
        "id": names.TASK_ID,
        "name": names.TASK_NAME,
        "run_id": names.TASK_RUN_ID,
        "group_id": names.TASK_GROUP_ID,
        "attempt": names.TASK_ATTEMPT,
        "max_attempts": names.TASK_MAX_ATTEMPTS,
        "result": names.TASK_RESULT,
        "queue": names.TASK_QUEUE,
        "queued_at": names.TASK_QUEUED_AT,
        "executor_id": names.TASK_EXECUTOR_ID,
        "tool": names.TASK_EXECUTOR_TOOL,
        "model": names.TASK_EXECUTOR_MODEL,
        "planner": names.TASK_EXECUTOR_PLANNER,
        "progress": names.TASK_PROGRESS,
        "error_type": names.ERROR_TYPE,
        "exception_type": names.EXCEPTION_TYPE,
        "exception_message": names.EXCEPTION_MESSAGE,
        "exception_stack": names.EXCEPTION_STACKTRACE,
        "event_name": names.EVENT_NAME,
    },
):
    """The attributes that count; senders may give any of them any type."""

    id: Any = None
    run_id: Any = None
    attempt: Any = None
    name: Any = None
    group_id: Any = None
    max_attempts: Any = None
    result: Any = None
    queue: Any = None
    queued_at: Any = None
    executor_id: Any = None
    tool: Any = None
    model: Any = None
    planner: Any = None
    progress: Any = None
    error_type: Any = None
    exception_type: Any = None
    exception_message: Any = None
    exception_stack: Any = None
    event_name: Any = None


class SpanRow(msgspec.Struct, array_like=True, tag=names.SPAN, gc=False):
    """`schema.Span` with only what counts decoded."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: msgspec.Raw
    flags: int
    name: msgspec.Raw
    kind: int
    start_ns: int
    end_ns: int
    attributes: TaskAttributes
    dropped_attributes_count: int
    events: list[msgspec.Raw]
    dropped_events_count: int
    links: msgspec.Raw
    dropped_links_count: int
    status_code: int
    status_message: str


class EventRow(msgspec.Struct, array_like=True, gc=False):
    """`schema.SpanEvent` with only what counts decoded."""

    time_ns: int
    name: str
    attributes: TaskAttributes


class LogRow(msgspec.Struct, array_like=True, tag=names.LOG_RECORD, gc=False):
    """`schema.LogRecord` with only what counts decoded."""

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: msgspec.Raw
    body: msgspec.Raw
    attributes: TaskAttributes
    dropped_attributes_count: int
    flags: int
    trace_id: bytes
    span_id: bytes
    event_name: str


decode_span = msgspec.msgpack.Decoder(SpanRow).decode
decode_event = msgspec.msgpack.Decoder(EventRow).decode
decode_log = msgspec.msgpack.Decoder(LogRow).decode
decode_context = msgspec.msgpack.Decoder(Context).decode


def kind_of(row: LogRow) -> LogKind | None:
    """What a log record says of its span; None if nothing."""
    said = row.attributes
    kind = LIFECYCLE.get(row.event_name or text_of(said.event_name) or "")
    if kind is None and (said.exception_type is not None or said.exception_message is not None):
        return LogKind.EXCEPTION
    return kind


def exception_of(row: SpanRow) -> TaskAttributes | None:
    """The attributes of the last exception event."""
    for raw in reversed(row.events):
        event = decode_event(raw)
        if event.name == names.EXCEPTION_EVENT:
            return event.attributes
    return None

"""One sign of life of an attempt: a log record that is made when it is sent, not before.

It holds the span, not its attributes: reading them costs the sending thread, never the program's.
"""

from typing import Any, Final, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode, format_span_id

from spanledger_sdk import names

_READING_TRIES: Final = 5
_WORDS: Final = {StatusCode.ERROR: "failed", StatusCode.OK: "completed"}


class Record(NamedTuple):
    """What happened to which attempt, when."""

    event: str
    span: ReadableSpan
    time_ns: int
    foreign: bool = False
    """Whether it is the span of another instrumentation, which a rule takes for an attempt."""
    unless_ended: bool = False
    """Whether it may be left out if the attempt has ended before it is sent."""
    more: dict[str, Any] | None = None

    def attributes(self) -> dict[str, Any]:
        """Those of the span, and for a foreign one by which rules know it."""
        said = _read(self.span)
        if self.foreign:
            said |= _identity(self.span)
        if self.event == names.ATTEMPT_ENDED and names.TASK_RESULT not in said and not self.foreign:
            said[names.TASK_RESULT] = _WORDS.get(self.span.status.status_code, "completed")
        if self.event != names.ATTEMPT_ENDED:
            said.pop(names.TASK_RESULT, None)  # it may have ended since
        if self.more:
            said |= self.more
        return said


def _read(span: ReadableSpan) -> dict[str, Any]:
    """Its attributes, though the program may be setting some at this moment."""
    for _ in range(_READING_TRIES):
        try:
            return dict(span.attributes or {})
        except RuntimeError:  # changed while they were read
            continue
    return {}


def _identity(span: ReadableSpan) -> dict[str, Any]:
    scope, parent = span.instrumentation_scope, span.parent
    return {
        "otel.scope.name": scope.name if scope else "",
        "span.name": span.name,
        "span.kind": span.kind.name,
        "span.parent_id": format_span_id(parent.span_id) if parent else "",
    }

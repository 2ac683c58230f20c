"""A span processor that hands ended spans to an outbox."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import TraceFlags

from spanledger_sdk.handover.outbox import Outbox

_SAMPLED = int(TraceFlags.SAMPLED)


class HandoverProcessor(SpanProcessor):
    """Every sampled span that ends is delivered; the thread that ends it never waits."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is sent before the end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Have it delivered."""
        context = span.get_span_context()
        if context is not None and context.trace_flags & _SAMPLED:
            self.outbox.put(span)

    def shutdown(self) -> None:
        """Deliver what is left, within the time that the settings give."""
        self.outbox.finish()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what is in the queue; False if it takes longer."""
        return self.outbox.flush(timeout_millis / 1000)

"""Says when an attempt starts and that it is still alive, for spans that carry `task.id`.

OTLP sends a span when it has ended. A log record at the start, and one every few seconds after
it, let an attempt be seen while it runs, and be missed when its worker is gone.
"""

import threading

from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import set_span_in_context

from events import names


class LifecycleProcessor(SpanProcessor):
    """Emits `task.attempt.started` and `task.attempt.heartbeat` for running attempts."""

    def __init__(self, provider: LoggerProvider, interval_s: float) -> None:
        self._logger = provider.get_logger("spanledger.demo")
        self._running: dict[int, Span] = {}
        self._stop = threading.Event()
        self._interval_s = interval_s
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Announce an attempt."""
        if names.TASK_ID in (span.attributes or {}):
            self._running[span.get_span_context().span_id] = span
            self._emit(names.ATTEMPT_STARTED, span)

    def on_end(self, span: ReadableSpan) -> None:
        """An ended attempt beats no more; its span says the rest."""
        context = span.get_span_context()
        if context is not None:
            self._running.pop(context.span_id, None)

    def fall_silent(self, span: AnySpan) -> None:
        """Beat no more for a span that will never end: its worker is gone."""
        self._running.pop(span.get_span_context().span_id, None)

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_s):
            for span in list(self._running.values()):
                self._emit(names.ATTEMPT_HEARTBEAT, span)

    def _emit(self, event_name: str, span: Span) -> None:
        self._logger.emit(
            LogRecord(
                timestamp=span.start_time if event_name == names.ATTEMPT_STARTED else None,
                context=set_span_in_context(span),
                event_name=event_name,
                attributes={**(span.attributes or {})},
            )
        )

    def shutdown(self) -> None:
        """Beat no more."""
        self._stop.set()

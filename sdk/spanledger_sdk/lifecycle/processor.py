"""A span processor that says when attempts start, that they are alive, and that they ended.

`provider.add_span_processor(LifecycleProcessor())` on whatever provider the program has. Attempts
are spans with `task.id`, ours and others', and those that a rule takes for attempts (foreign.py).
"""

import time
import weakref
from collections.abc import Sequence
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace import SpanKind

from spanledger_sdk import names, settings
from spanledger_sdk.details import progress_listeners
from spanledger_sdk.guard import complain
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.shared import outbox_of
from spanledger_sdk.lifecycle.foreign import FOREIGN, Foreign, Matcher
from spanledger_sdk.lifecycle.logger import LoggerTransport
from spanledger_sdk.lifecycle.record import Record

PROGRESS_EVERY_S: Final = 1.0
UNTRACKED: Final = "attempts have no heartbeats: too many run"


class _Running:
    """An attempt that has not ended. The span is held weakly: one that is dropped is dead."""

    __slots__ = ("foreign", "next_beat_s", "progress", "progressed_s", "span")

    def __init__(self, span: ReadableSpan, foreign: bool) -> None:
        self.span = weakref.ref(span)
        self.foreign = foreign
        self.next_beat_s = 0.0
        self.progress: dict[str, float | str] | None = None
        self.progressed_s = 0.0


class LifecycleProcessor(SpanProcessor):
    """Sends `task.attempt.started`, `.heartbeat`, `.progress` and `.ended`.

    Args:
        outbox: through which they go; by default the process's own, to the service.
        logger_provider: in its place, a provider of the program's, as to a Collector.
        rules: which spans of other instrumentations are attempts.
        spans_too: the same outbox sends the spans themselves, so an end needs no record of its
            own, and neither does the start of what has ended before the start was sent.
    """

    def __init__(
        self,
        outbox: Outbox | None = None,
        *,
        logger_provider: LoggerProvider | None = None,
        rules: Sequence[Foreign] = FOREIGN,
        spans_too: bool = False,
    ) -> None:
        force = settings.current()
        if logger_provider is not None:
            transport = LoggerTransport(logger_provider)
            outbox = Outbox(
                transport, force.queue_items, force.send_interval_s, force.exit_timeout_s
            )
        self._outbox = outbox or outbox_of()
        self._matcher = Matcher(rules)
        self._spans_too = spans_too
        self._disabled = force.disabled
        self._interval_s = force.heartbeat_interval_s
        self._limit = force.running_attempts
        self._running: dict[int, _Running] = {}
        self._outbox.tickers.append(self._tick)
        self._outbox.forgetters.append(self._running.clear)
        progress_listeners.append(self._progress)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Announce an attempt."""
        try:
            if not self._disabled:
                self._begin(span)
        except Exception as exc:
            complain("the start of an attempt could not be said", exc)

    def _begin(self, span: Span) -> None:
        foreign = self._foreign(span)
        if foreign is None:
            return
        if len(self._running) < self._limit:
            self._running[span.get_span_context().span_id] = _Running(span, foreign)
        else:
            complain(UNTRACKED)
        self._outbox.put(
            Record(names.ATTEMPT_STARTED, span, span.start_time or 0, foreign, self._spans_too)
        )

    def _foreign(self, span: Span) -> bool | None:
        """Whether it is another instrumentation's attempt; None if it is none."""
        scope = span.instrumentation_scope
        said = span.attributes
        if said and names.TASK_ID in said:
            queued = span.kind is SpanKind.PRODUCER and names.TASK_ATTEMPT not in said
            return None if queued else False
        if scope is not None and self._matcher.matches(scope.name, span.kind, span.name):
            return True
        return None

    def on_end(self, span: ReadableSpan) -> None:
        """An attempt that ended beats no more."""
        context = span.get_span_context()
        running = None if context is None else self._running.pop(context.span_id, None)
        if running is not None and not self._spans_too:
            self._outbox.put(Record(names.ATTEMPT_ENDED, span, span.end_time or 0, running.foreign))

    def fall_silent(self, span: AnySpan) -> None:
        """Beat no more for an attempt that will never end here: its worker is gone."""
        self._running.pop(span.get_span_context().span_id, None)

    def _progress(self, span: AnySpan, fraction: float, message: str | None) -> None:
        running = self._running.get(span.get_span_context().span_id)
        if running is None:
            return
        said: dict[str, float | str] = {names.TASK_PROGRESS: fraction}
        if message is not None:
            said[names.TASK_PROGRESS_MESSAGE] = message
        running.progress = said
        if time.monotonic() - running.progressed_s >= PROGRESS_EVERY_S:
            self._say_progress(running)

    def _say_progress(self, running: _Running) -> None:
        said, running.progress = running.progress, None
        span = running.span()
        if said is not None and span is not None:
            running.progressed_s = time.monotonic()
            self._outbox.put(
                Record(
                    names.ATTEMPT_PROGRESS, span, time.time_ns(), running.foreign, True, dict(said)
                )
            )

    def _tick(self) -> bool:
        """Beat for those whose time it is; called by the outbox's thread."""
        now_s = time.monotonic()
        for span_id, running in list(self._running.items()):
            span = running.span()
            if span is None:  # dropped without an end
                self._running.pop(span_id, None)
                continue
            if running.progress and now_s - running.progressed_s >= PROGRESS_EVERY_S:
                self._say_progress(running)
            if now_s >= running.next_beat_s:  # the first one soon: only who was heard is missed
                running.next_beat_s = now_s + self._interval_s
                beat = Record(names.ATTEMPT_HEARTBEAT, span, time.time_ns(), running.foreign, True)
                self._outbox.put(beat)
        return bool(self._running)

    def shutdown(self) -> None:
        """Beat no more, and deliver what was said."""
        if self._tick in self._outbox.tickers:
            self._outbox.tickers.remove(self._tick)
        if self._progress in progress_listeners:
            progress_listeners.remove(self._progress)
        self._outbox.finish()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Deliver what was said; False if it takes longer."""
        return self._outbox.flush(timeout_millis / 1000)

"""Lifecycle records through a logger provider of the program's own, as to a Collector."""

from collections.abc import Sequence

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import NonRecordingSpan, set_span_in_context

from spanledger_sdk import names
from spanledger_sdk.guard import complain
from spanledger_sdk.lifecycle.record import Record


class LoggerTransport:
    """What the provider's processors do with them is up to them; nothing is kept."""

    def __init__(self, provider: LoggerProvider) -> None:
        self._logger = provider.get_logger(names.SCOPE, names.VERSION)

    def deliver(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        for record in records:
            try:
                self._emit(record)
            except Exception as exc:
                complain("a lifecycle record could not be emitted", exc)

    def _emit(self, record: Record) -> None:
        context = record.span.get_span_context()
        assert context is not None
        self._logger.emit(
            LogRecord(
                timestamp=record.time_ns,
                context=set_span_in_context(NonRecordingSpan(context)),
                severity_number=SeverityNumber.INFO,
                event_name=record.event,
                attributes=record.attributes(),
            )
        )

    def catch_up(self) -> bool:
        return False

    def give_up(self, spans: Sequence[ReadableSpan], records: Sequence[Record]) -> None:
        self.deliver(spans, records)

    def waiting(self) -> bool:
        return False

    def after_fork(self) -> None:
        """The provider sees to itself."""

    def close(self) -> None:
        """The provider is the program's."""

"""Whether a body that makes no sense as one signal makes sense as another; then it says so."""

from itertools import islice
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.otlp.decode.decoded import WrongSignal

_LOOKED_AT: Final = 1000
"""A body of another signal is told by its first events."""
_EVENT_BYTES: Final = 16
"""Events are no smaller: a body that would hold more of them makes no sense as any signal."""

LOGS_ON_TRACES: Final = (
    "this body holds log records, but it was sent to the traces endpoint; "
    "send it to /v1/logs or LogsService/Export"
)
METRICS_ELSEWHERE: Final = (
    "this body holds metrics, but it was sent to another endpoint; "
    "send it to /v1/metrics or MetricsService/Export"
)
TRACES_ON_LOGS: Final = (
    "this body holds spans, but it was sent to the logs endpoint; "
    "send it to /v1/traces or TraceService/Export"
)


def require_spans(body: bytes, events: int) -> None:
    """Say so if the body makes sense as another signal; only asked where it makes none as spans.

    `events` is how many it would hold. A swarm of them is not looked at: it would cost far more
    to parse again than its bytes are worth.
    """
    if events > len(body) // _EVENT_BYTES:
        return
    if _holds_logs(body):
        raise WrongSignal(LOGS_ON_TRACES)
    if _holds_metrics(body):
        raise WrongSignal(METRICS_ELSEWHERE)


def require_logs(body: bytes) -> None:
    """The same for log records."""
    if _holds_spans(body):
        raise WrongSignal(TRACES_ON_LOGS)
    if _holds_metrics(body):
        raise WrongSignal(METRICS_ELSEWHERE)


def _holds_metrics(body: bytes) -> bool:
    """Whether the body makes sense as metrics."""
    try:
        request = ExportMetricsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        islice(
            (
                metric.name and metric.WhichOneof("data")
                for resource_metrics in request.resource_metrics
                for scope_metrics in resource_metrics.scope_metrics
                for metric in scope_metrics.metrics
            ),
            _LOOKED_AT,
        )
    )


def _holds_logs(body: bytes) -> bool:
    """Whether the body makes sense as log records: their times have no counterpart in a span."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        islice(
            (
                record.time_unix_nano or record.observed_time_unix_nano
                for resource_logs in request.resource_logs
                for scope_logs in resource_logs.scope_logs
                for record in scope_logs.log_records
            ),
            _LOOKED_AT,
        )
    )


def _holds_spans(body: bytes) -> bool:
    """Whether the body makes sense as spans."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        return False
    return any(
        islice(
            (
                len(span.trace_id) == 16 and len(span.span_id) == 8 and span.start_time_unix_nano
                for resource_spans in request.resource_spans
                for scope_spans in resource_spans.scope_spans
                for span in scope_spans.spans
            ),
            _LOOKED_AT,
        )
    )

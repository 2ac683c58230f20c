"""The bytes of answers in both encodings: success, partial success, failure."""

from typing import Final

import msgspec
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from service.otlp.request import Encoding, Outcome, Signal
from service.otlp.transport.codes import message_of, retry_after_s, status_of

_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"
_REJECTED_JSON: Final = {Signal.TRACES: "rejectedSpans", Signal.LOGS: "rejectedLogRecords"}
_json = msgspec.json.encode


def success(signal: Signal, encoding: Encoding, outcome: Outcome) -> bytes:
    """The answer to a request that was taken, wholly or in part."""
    if not (outcome.refused or outcome.reasons):
        return b"" if encoding is Encoding.PROTOBUF else b"{}"
    why = "; ".join(outcome.reasons)
    if encoding is Encoding.JSON:
        # 64-bit integers are strings in OTLP/JSON.
        rejected = {_REJECTED_JSON[signal]: str(outcome.refused), "errorMessage": why}
        return _json({"partialSuccess": rejected})
    response = (
        ExportTraceServiceResponse(
            partial_success=ExportTracePartialSuccess(
                rejected_spans=outcome.refused, error_message=why
            )
        )
        if signal is Signal.TRACES
        else ExportLogsServiceResponse(
            partial_success=ExportLogsPartialSuccess(
                rejected_log_records=outcome.refused, error_message=why
            )
        )
    )
    data: bytes = response.SerializeToString()
    return data


def failure(encoding: Encoding, error: BaseException) -> bytes:
    """A google.rpc.Status that tells `error`, with RetryInfo if it may be tried again.

    In protobuf these are also the bytes of gRPC's `grpc-status-details-bin`.
    """
    code: int = status_of(error).grpc.value[0]
    delay_s = retry_after_s(error)
    if encoding is Encoding.JSON:
        status: dict[str, object] = {"code": code, "message": message_of(error)}
        if delay_s is not None:
            status["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{delay_s}s"}]
        return _json(status)
    message = status_pb2.Status(code=code, message=message_of(error))
    if delay_s is not None:
        info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=delay_s))
        detail = any_pb2.Any()
        detail.Pack(info)
        message.details.append(detail)
    data: bytes = message.SerializeToString()
    return data

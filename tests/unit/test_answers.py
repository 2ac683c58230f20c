"""The bytes of answers."""

import json

import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from events.errors import BadInput, QueueFull
from service.otlp.request import Encoding, Outcome, Signal
from service.otlp.transport.answers import failure, success

PARTIAL = Outcome(accepted=3, refused=2, reasons=("no ids", "no start"))


@pytest.mark.parametrize("signal", Signal)
def test_success_is_an_empty_message(signal: Signal) -> None:
    """Nothing refused, nothing said."""
    outcome = Outcome(accepted=3, position=9)
    assert success(signal, Encoding.PROTOBUF, outcome) == b""
    assert success(signal, Encoding.JSON, outcome) == b"{}"


def test_partial_success_of_traces() -> None:
    """Refused spans are counted and explained."""
    found = ExportTraceServiceResponse.FromString(
        success(Signal.TRACES, Encoding.PROTOBUF, PARTIAL)
    )
    assert found.partial_success.rejected_spans == 2
    assert found.partial_success.error_message == "no ids; no start"


def test_partial_success_of_logs() -> None:
    """Refused log records are counted and explained."""
    found = ExportLogsServiceResponse.FromString(success(Signal.LOGS, Encoding.PROTOBUF, PARTIAL))
    assert found.partial_success.rejected_log_records == 2
    assert found.partial_success.error_message == "no ids; no start"


@pytest.mark.parametrize(
    ("signal", "kind"),
    [(Signal.TRACES, ExportTraceServiceResponse), (Signal.LOGS, ExportLogsServiceResponse)],
)
def test_json_says_the_same(signal: Signal, kind: type) -> None:
    """JSON and protobuf answers are one message."""
    parsed = json_format.Parse(success(signal, Encoding.JSON, PARTIAL), kind())
    assert parsed.SerializeToString() == success(signal, Encoding.PROTOBUF, PARTIAL)


def test_retryable_failure_has_retry_info() -> None:
    """A sender learns after how long to try again."""
    found = Status.FromString(failure(Encoding.PROTOBUF, QueueFull("full", retry_after_s=2)))
    info = error_details_pb2.RetryInfo()
    assert found.details[0].Unpack(info)
    assert (found.code, found.message, info.retry_delay.seconds) == (8, "full", 2)


def test_permanent_failure_has_no_retry_info() -> None:
    """Without RetryInfo nobody tries again."""
    assert not Status.FromString(failure(Encoding.PROTOBUF, BadInput("bad"))).details


def test_failure_in_json() -> None:
    """JSON failures are google.rpc.Status too."""
    assert json.loads(failure(Encoding.JSON, QueueFull("full"))) == {
        "code": 8,
        "message": "full",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}],
    }

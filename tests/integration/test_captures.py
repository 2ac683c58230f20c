"""What real orchestrators sent, sent as it is: everything is stored as it came."""

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from events.schema import Span
from service.forward.encode import Item, encode_frame, encode_record, encode_span, frame_request
from tests.captures import FOLDER, capture_files, read_capture, signal_of
from tests.otlp_messages import flat
from tests.receivers import LOGS, METRICS, TRACES, receiving

FILES = capture_files()
KINDS: dict[str, Any] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}
METHODS = {"traces": TRACES, "logs": LOGS, "metrics": METRICS}


def test_there_are_captures() -> None:
    """The data is in the repository."""
    assert len(FILES) >= 8


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_stored_whole(tmp_path: Path, file: Path, transport: str) -> None:
    """Every span and log record stands in the log, equal field by field; a resend adds none."""
    signal, body = signal_of(file), read_capture(file)
    with receiving(tmp_path, scrub=False) as it:
        for _ in range(2):
            if transport == "grpc":
                assert it.export(body, METHODS[signal])[0] == b""
            else:
                answer = it.post(f"/v1/{signal}", body)
                assert (answer.status_code, answer.content) == (200, b"")
        events = it.events()
    if signal == "metrics":
        assert events == []
        return
    found = frame_request(
        Item(
            one.position,
            encode_frame(signal, one.context),  # type: ignore[arg-type]
            encode_span(one.event) if isinstance(one.event, Span) else encode_record(one.event),  # type: ignore[arg-type]
        )
        for one in events
    )
    sent = KINDS[signal].FromString(body)
    assert flat(KINDS[signal].FromString(found)) == flat(sent)

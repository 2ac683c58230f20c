"""Heartbeats to a whole service: kept alive by them, also by such that are the same each time."""

import time
import urllib.request
from pathlib import Path

import pytest

from events import names
from tests.otlp import logs, make_log
from tests.serving import Service, serving

pytestmark = pytest.mark.slow


def _status(service: Service) -> str:
    items = service.ask("/api/v1/attempts")["items"]
    return str(items[0]["status"]) if items else ""


def _send(service: Service, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://{service.http}/v1/logs", body, {"content-type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_same_heartbeat_keeps_an_attempt_alive(workers: str, tmp_path: Path) -> None:
    """While it comes the attempt runs; three intervals after the last one it is abandoned."""
    beat = make_log(
        time_unix_nano=0, event_name=names.ATTEMPT_HEARTBEAT, trace_id=b"t" * 16,
        span_id=b"s" * 8, attributes={"task.id": "job", "task.run.id": "r", "task.attempt": 1},
    )  # fmt: skip
    body = logs(beat).SerializeToString()
    arguments = ("--heartbeat-interval-s", "1", "--workers", workers)
    with serving(tmp_path, *arguments) as service:
        ends_s = time.monotonic() + 9
        while time.monotonic() < ends_s:
            _send(service, body)
            time.sleep(0.3)
            assert _status(service) in ("", "running")
        assert service.ask("/api/v1/log/head")["position"] == "1"
        ends_s = time.monotonic() + 30
        while _status(service) != "abandoned":
            assert time.monotonic() < ends_s
            time.sleep(0.3)

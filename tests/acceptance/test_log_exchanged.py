"""A log that is not what it was, under views and cursors that stay: noticed by everybody.

While the service is down its log is put back from an older copy, or exchanged for another one,
with its recorded head, so that the log alone looks whole. A start without the consumers' files
would find nothing wrong; with them each says what happened, and stands still.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.otlp import make_span, traces
from tests.peers.sink import Sink
from tests.resending import post_http
from tests.serving import Service, clean_environment, serving, start

pytestmark = pytest.mark.slow

WITHIN_S = 20.0
LOG_FILES = ("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.head")


def send(service: Service, first: int, count: int) -> None:
    """Spans with these numbers, each in a request of its own."""
    for number in range(first, first + count):
        span = make_span(span_id=number.to_bytes(8, "big"), attributes={"task.id": str(number)})
        post_http(service.http, traces(span).SerializeToString())


def command(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", *arguments, "--data", str(data)],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def keep(data: Path, copy: Path) -> None:
    copy.mkdir()
    for name in LOG_FILES:
        if (data / name).exists():
            shutil.copy(data / name, copy / name)


def put_back(copy: Path, data: Path, *, head: bool) -> None:
    """The log of `copy` in the place of that of `data`; the head as it was if not `head`."""
    for name in LOG_FILES if head else LOG_FILES[:3]:
        (data / name).unlink(missing_ok=True)
        if (copy / name).exists():
            shutil.copy(copy / name, data / name)


def until(condition: Callable[[], bool], service: Service) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline_s, service.said()[-3000:]
        time.sleep(0.1)


@contextlib.contextmanager
def up(data: Path, *args: str) -> Iterator[Service]:
    """A service that has published its ports, ready or not."""
    service = start(data, *args)
    try:
        until(lambda: service.endpoints() is not None, service)
        service.http = (service.endpoints() or {})["http"]
        yield service
    finally:
        service.terminate()


def forwarding(data: Path) -> list[dict[str, Any]]:
    found: dict[str, Any] = json.loads(command(data, "forward", "list", "--json").stdout)
    return list(found["items"])


@pytest.mark.parametrize("exchanged", [False, True], ids=["older copy", "another log"])
def test_with_the_recorded_head_a_start_refuses(exchanged: bool, tmp_path: Path) -> None:
    """The recorded head stays behind: the writer does not start, and `verify` exits 5."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with serving(tmp_path) as service:
        send(service, 1, 5)
    if exchanged:
        with serving(tmp_path / "other") as other:
            send(other, 1, 9)
        keep(tmp_path / "other" / "data", copy)
    else:
        keep(data, copy)
        with serving(tmp_path) as service:
            send(service, 6, 5)
    put_back(copy, data, head=False)
    started = command(data, "serve", "--grpc-port", "0", "--http-port", "0", "--api-port", "0")
    assert started.returncode != 0
    assert ("exchanged" if exchanged else "older copy") in started.stderr
    verified = command(data, "log", "verify")
    assert verified.returncode == 5, verified
    assert "Traceback" not in started.stderr + verified.stderr


@pytest.mark.parametrize("exchanged", [False, True], ids=["older copy", "another log"])
def test_without_it_the_consumers_stand_still(exchanged: bool, tmp_path: Path) -> None:
    """Head and log both put back: views and forwarding stop, say why, and nothing is mixed."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with Sink() as sink:
        target = ["--forward", f"otlp+grpc://{sink.grpc}?name=sink"]
        with serving(tmp_path, *target) as service:
            send(service, 1, 5)
            until(lambda: len(sink.names()) >= 5, service)
        keep(data, copy)
        with serving(tmp_path, *target) as service:
            send(service, 6, 5)
            until(lambda: len(sink.names()) >= 10, service)
        if exchanged:
            shutil.rmtree(copy)
            with serving(tmp_path / "other") as other:
                send(other, 1, 20)
            keep(tmp_path / "other" / "data", copy)
        put_back(copy, data, head=True)
        shutil.rmtree(data / "index", ignore_errors=True)
        forwarded = len(sink.names())
        with up(data, *target) as service:
            until(lambda: "projector failed" in service.said(), service)
            until(lambda: "forwarding stopped" in service.said(), service)
            send(service, 100, 3)
            (status,) = forwarding(data)
            assert status["state"] == "stopped"
            word = "exchanged" if exchanged else "older copy"
            assert word in status["error"]
            shown = command(data, "projections", "status", "--json")
            assert word in shown.stdout + shown.stderr
            assert len(sink.names()) == forwarded
        verified = command(data, "log", "verify")
        assert verified.returncode == 5, verified

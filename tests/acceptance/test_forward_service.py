"""A whole service with a target: its forwarder is killed, asked and steered."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.locks import RoleLock
from tests.otlp import make_span, traces
from tests.peers.sink import Sink
from tests.serving import Service, clean_environment, serving

pytestmark = pytest.mark.slow


def send(service: Service, names: list[str]) -> None:
    spans = [make_span(name=name, attributes={"name": name}) for name in names]
    request = urllib.request.Request(
        f"http://{service.http}/v1/traces",
        traces(*spans).SerializeToString(),
        {"content-type": "application/x-protobuf"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def forward(service: Service, *arguments: str) -> Any:
    """What `spanledger forward …` prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", "forward", *arguments, "--json", "--data",
         str(service.data)],
        env=clean_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


def test_a_killed_forwarder_sends_everything(tmp_path: Path) -> None:
    """Every acknowledged span reaches the target at least once, however often it is killed."""
    names = [f"span-{number}" for number in range(2000)]
    with (
        Sink() as sink,
        serving(tmp_path, "--forward", f"otlp+grpc://{sink.grpc}?name=sink") as service,
    ):
        killed: set[int] = set()
        for start in range(0, len(names), 100):
            send(service, names[start : start + 100])
            pid = service.children().get("forwarder")
            if pid is not None and start % 500 == 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.05)
        until(lambda: set(sink.names()) >= set(names))
        assert len(killed) > 1


def test_a_new_target_misses_nothing_sent_during_a_start(tmp_path: Path) -> None:
    """What is acknowledged before the service says that it is ready reaches a target new to it."""
    with serving(tmp_path) as service:
        send(service, ["before"])
        port = service.http.rpartition(":")[2]
    sent: list[str] = []

    def send_early() -> None:
        """From the first moment at which something is taken."""
        while len(sent) < 20:
            with contextlib.suppress(OSError):
                send(service, [f"early-{len(sent)}"])
                sent.append(f"early-{len(sent)}")

    lock = RoleLock(service.data, "forwarder")  # of one that is killed but not gone yet
    lock.acquire()
    threading.Timer(3.5, lock.release).start()  # the supervisor waits for 2 s, the role for 3
    with Sink() as sink:
        sender = threading.Thread(target=send_early)
        sender.start()
        with serving(
            tmp_path, "--http-port", port, "--forward", f"otlp+grpc://{sink.grpc}?name=sink"
        ):
            sender.join()
            until(lambda: set(sink.names()) >= set(sent))
            assert "before" not in sink.names()


def test_a_running_forwarder_is_steered(tmp_path: Path) -> None:
    """Pause, resume, rewind and list work through the command line beside the service."""
    with (
        Sink() as sink,
        serving(tmp_path, "--forward", f"otlp+http://{sink.http}?name=sink") as service,
    ):
        send(service, ["a"])
        until(lambda: sink.names() == ["a"])
        assert forward(service, "pause", "sink")["paused"]
        send(service, ["b"])
        (target,) = forward(service, "list")["items"]
        assert (target["state"], target["lag_events"], target["sent"]) == ("paused", 1, 1)
        forward(service, "resume", "sink")
        until(lambda: sink.names() == ["a", "b"])
        forward(service, "rewind", "sink", "--to", "0")
        until(lambda: sink.names() == ["a", "b", "a", "b"])

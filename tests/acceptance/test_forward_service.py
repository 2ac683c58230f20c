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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.control.locks import RoleLock
from tests.otlp import make_span, traces
from tests.peers.sink import Sink
from tests.serving import Service, clean_environment, serving, until

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


def ask(service: Service, *words: str) -> "subprocess.CompletedProcess[str]":
    """`spanledger WORDS --json` on the data folder, which must end soon."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", *words, "--json", "--data",
         str(service.data)],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=40,
    )  # fmt: skip


def ask_all(service: Service, *commands: list[str]) -> list["subprocess.CompletedProcess[str]"]:
    """All of them at once, as each may have to wait."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda words: ask(service, *words), commands))


def named(pid: int) -> str:
    """How a message names a process that hangs, where the system tells it."""
    return f" (process {pid})" if sys.platform == "linux" else ""


def forward(service: Service, *arguments: str) -> Any:
    """What `spanledger forward …` prints as JSON."""
    done = ask(service, "forward", *arguments)
    done.check_returncode()
    return json.loads(done.stdout)


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
        until(lambda: set(sink.names()) >= set(names), 60)
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
            until(lambda: set(sink.names()) >= set(sent), 60)
            assert "before" not in sink.names()


def test_a_running_forwarder_is_steered(tmp_path: Path) -> None:
    """Pause, resume, rewind and list work through the command line beside the service."""
    with (
        Sink() as sink,
        serving(tmp_path, "--forward", f"otlp+http://{sink.http}?name=sink") as service,
    ):
        send(service, ["a"])
        until(lambda: sink.names() == ["a"], 60)
        assert forward(service, "pause", "sink")["paused"]
        send(service, ["b"])
        (target,) = forward(service, "list")["items"]
        assert (target["state"], target["lag_events"], target["sent"]) == ("paused", 1, 1)
        forward(service, "resume", "sink")
        until(lambda: sink.names() == ["a", "b"], 60)
        forward(service, "rewind", "sink", "--to", "0")
        until(lambda: sink.names() == ["a", "b", "a", "b"], 60)


def test_a_forwarder_that_hangs_is_told_of(tmp_path: Path) -> None:
    """Commands give up on it soon and say what to do; the service stays ready without it."""
    with (
        Sink() as sink,
        serving(tmp_path, "--forward", f"otlp+grpc://{sink.grpc}?name=sink") as service,
    ):
        pid = service.children()["forwarder"]
        os.kill(pid, signal.SIGSTOP)
        try:
            status, listed = ask_all(service, ["status"], ["forward", "list"])
            assert service.ask("/api/v1/health/ready")["missing"] == []
        finally:
            os.kill(pid, signal.SIGCONT)
        document = json.loads(status.stdout)
        (problem,) = document["problems"]
        assert (status.returncode, document["forward"]) == (0, [])
        assert {"forwarder", "projector"} <= set(document["roles"])
        assert (listed.returncode, listed.stdout) == (4, "")
        for text in (problem, listed.stderr):
            assert f"the forwarder of {service.data}{named(pid)} did not answer" in text
            assert "kill -9" in text or not named(pid)
        assert [target["name"] for target in forward(service, "list")["items"]] == ["sink"]


def test_a_projector_that_hangs_is_told_of(tmp_path: Path) -> None:
    """It is not asked for the whole status, and still is a problem there."""
    with serving(tmp_path) as service:
        pid = service.children()["projector"]
        os.kill(pid, signal.SIGSTOP)
        try:
            status, paused = ask_all(service, ["status"], ["projections", "pause"])
        finally:
            os.kill(pid, signal.SIGCONT)
        (problem,) = json.loads(status.stdout)["problems"]
        assert paused.returncode == 4
        for text in (problem, paused.stderr):
            assert f"the projector of {service.data}{named(pid)} did not answer" in text

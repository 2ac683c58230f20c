"""`spanledger serve` as a user meets it: real processes, signals, ports and files."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
from pathlib import Path

import pytest

from service.control.socket import call
from tests import serving as running
from tests.acceptance.processes import alive, wait_gone
from tests.sending import Sender, send, wait_for_tasks
from tests.serving import SERVE, Service, clean_environment, serving

GONE_S = 30.0
"""Children end within a second of losing their parent; a loaded machine takes longer."""


def wait_restarted(service: Service, instance: str, old_pid: int, within_s: float = 20.0) -> int:
    """The process that took the place of `old_pid`, once everything is ready again."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        for child in call(service.data, "supervisor", "status"):
            if child["instance"] == instance and child["ready"] and child["pid"] != old_pid:
                pid: int = child["pid"]
                return pid
        time.sleep(0.05)
    raise AssertionError(f"{instance} was not started again:\n{service.said()[-3000:]}")


def run_serve(data: Path, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """`spanledger serve` that is expected to stop by itself."""
    return subprocess.run(
        [*SERVE, "--data", str(data), *args], capture_output=True, text=True, timeout=120,
        env=clean_environment(env), check=False,
    )  # fmt: skip


def test_a_day_in_its_life(tmp_path: Path) -> None:
    """It gets ready, takes spans over both transports, answers, and leaves nothing behind."""
    with serving(tmp_path) as service:
        endpoints = service.endpoints()
        assert endpoints is not None
        assert endpoints["pid"] == service.pid
        send(service, ["a", "b"], "grpc")
        send(service, ["c"], "http")
        wait_for_tasks(service, {"a", "b", "c"})
        assert {"receiver", "projector", "api"} == set(service.children())
        children = list(service.children().values())
        said = service.said()
        assert all(address in said for address in (service.grpc, service.http, service.api))
        assert service.terminate() == 0
        assert not [pid for pid in children if alive(pid)]
        assert service.endpoints() is None
    with serving(tmp_path) as service:
        wait_for_tasks(service, {"a", "b", "c"})


def test_children_that_die_are_started_again(tmp_path: Path) -> None:
    """A killed child comes back on its port, with all that was acknowledged, and is counted."""
    with serving(tmp_path) as service:
        send(service, ["before"])
        for instance in ("receiver", "projector", "api"):
            pid = service.children()[instance]
            os.kill(pid, signal.SIGKILL)
            wait_restarted(service, instance, pid)
        send(service, ["after"], "http")
        wait_for_tasks(service, {"before", "after"})
        assert "child ended, starting it again" in service.said()
        metrics = running.text_of(service, "/metrics")
        assert 'spanledger_child_restarts_total{role="receiver"} 1.0' in metrics


def test_children_end_with_their_supervisor(tmp_path: Path) -> None:
    """A killed supervisor takes its children along, and the next start finds all in order."""
    with serving(tmp_path) as service:
        send(service, ["kept"])
        children = list(service.children().values())
        service.kill()
        assert not wait_gone(children, GONE_S)
        stale = service.endpoints()
        assert stale is not None
        assert stale["pid"] == service.pid
        with serving(tmp_path) as next_one:
            wait_for_tasks(next_one, {"kept"})
            assert next_one.endpoints() != stale


@pytest.mark.slow
def test_second_instance_on_the_same_data(tmp_path: Path) -> None:
    """It says who is there and stops; the first one goes on."""
    with serving(tmp_path) as service:
        ports = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0"]
        second = run_serve(service.data, *ports)
        assert second.returncode == 4
        assert f"process {service.pid}" in second.stderr
        assert service.api in second.stderr
        assert len(second.stderr.splitlines()) == 1
        assert service.endpoints() is not None
        assert service.ask("/api/v1/health/ready")["status"] == "ready"


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_second_instance_on_the_same_ports(workers: str, tmp_path: Path) -> None:
    """It never shares a port with another service, however many workers share it."""
    with serving(tmp_path, "--workers", workers) as service:
        port = service.grpc.rpartition(":")[2]
        others = ["--http-port", "0", "--api-port", "0", "--workers", workers]
        second = run_serve(tmp_path / "other", "--grpc-port", port, *others)
        assert second.returncode == 4
        assert f"port {port} on 127.0.0.1 cannot be used" in second.stderr
        assert "--grpc-port" in second.stderr


def test_a_port_of_somebody_else(tmp_path: Path) -> None:
    """A port that any other program listens on is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        free = ["--grpc-port", "0", "--http-port", "0"]
        found = run_serve(tmp_path / "data", *free, "--api-port", port)
    assert found.returncode == 4
    assert f"port {port}" in found.stderr


@pytest.mark.slow
def test_workers_share_the_ports(tmp_path: Path) -> None:
    """Several receivers take spans on one port, through one writer that may die as well."""
    with serving(tmp_path, "--workers", "2") as service:
        names = {"writer", "receiver-1", "receiver-2", "projector", "api"}
        assert set(service.children()) == names
        tasks = [f"task-{number}" for number in range(12)]
        for number, task in enumerate(tasks[:8]):
            send(service, [task], ("grpc", "http")[number % 2])
        for instance in ("writer", "receiver-1"):
            pid = service.children()[instance]
            os.kill(pid, signal.SIGKILL)
            wait_restarted(service, instance, pid)
        for task in tasks[8:]:
            send(service, [task])
        wait_for_tasks(service, set(tasks))
        assert service.ask("/api/v1/health/ready")["status"] == "ready"


@pytest.mark.slow
def test_roles_one_by_one(tmp_path: Path) -> None:
    """Each role runs in the foreground, under the same locks, and ends on SIGTERM."""
    data = tmp_path / "data"
    started: list[Service] = []
    try:
        for role in ("writer", "projector", "receiver", "api"):
            started.append(running.start(data, "--role", role))
        addresses = running.addresses_of(started[2], "OTLP/gRPC", "OTLP/HTTP")
        api = running.addresses_of(started[3], "API")
        service = Service(data, started[3].process, started[3].output, *addresses, *api)
        send(service, ["a"], "http")
        wait_for_tasks(service, {"a"})
        second = run_serve(data, "--role", "writer")
        assert second.returncode == 4
        assert "a writer already runs" in second.stderr
        assert [one.terminate() for one in reversed(started)] == [0, 0, 0, 0]
    finally:
        for one in started:
            one.kill()


@pytest.mark.slow
def test_a_second_signal_is_quicker(tmp_path: Path) -> None:
    """Two signals end it soon, also while something holds a connection open."""
    with (
        serving(tmp_path, "--drain-s", "60") as service,
        socket.create_connection(tuple(service.http.split(":"))),
    ):
        service.process.send_signal(signal.SIGINT)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(10) == 0


@pytest.mark.slow
def test_streams_do_not_hold_it_up(tmp_path: Path) -> None:
    """An open live stream ends at once when the service is told to stop."""
    with serving(tmp_path) as service:
        stream = running.open_stream(service, "/api/v1/events")
        started_s = time.monotonic()
        assert service.terminate() == 0
        assert time.monotonic() - started_s < 8
        stream.read()
        stream.close()


def test_packages_of_somebody_else(tmp_path: Path) -> None:
    """Another package with the name of one of ours is named, before anything fails oddly."""
    (tmp_path / "path" / "events").mkdir(parents=True)
    (tmp_path / "path" / "events" / "__init__.py").write_text("")
    found = run_serve(tmp_path / "data", PYTHONPATH=str(tmp_path / "path"))
    assert found.returncode == 1
    assert f"'events' is found at {tmp_path / 'path' / 'events'}" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.slow
def test_forwards_to_another_service(tmp_path: Path) -> None:
    """What one service forwards is what another one stores, also when that was away."""
    with serving(tmp_path / "second") as second:
        _, _, port = second.grpc.rpartition(":")
    with serving(tmp_path / "first", "--forward", f"otlp+grpc://{second.grpc}") as first:
        assert "forwarder" in first.children()
        send(first, ["a", "b"])
        with serving(tmp_path / "second", "--grpc-port", port) as second:
            wait_for_tasks(second, {"a", "b"}, within_s=40)


@pytest.mark.parametrize(
    ("args", "env", "code", "words"),
    [
        (["--grpc-port", "x"], {}, 2, ["--grpc-port", "from 0 to 65535", "'x'"]),
        ([], {"SPANLEDGER_WORKER": "2"}, 2, ["SPANLEDGER_WORKER", "did you mean"]),
        (["--host", "0.0.0.0"], {}, 2, ["--host 0.0.0.0", "spanledger token add"]),
        (["--role", "cook"], {}, 2, ["--role", "projector"]),
        (["--forward", "jaeger:4317"], {}, 2, ["--forward", "otlp+grpc://"]),
        (["--config", "/no/such.toml"], {}, 2, ["/no/such.toml"]),
        (["--nonsense"], {}, 2, ["--nonsense"]),
    ],
)
def test_bad_settings_stop_the_start(
    args: list[str], env: dict[str, str], code: int, words: list[str], tmp_path: Path
) -> None:
    """What is wrong is named in a line, without a trace, before anything is made."""
    found = run_serve(tmp_path / "data", *args, **env)
    assert found.returncode == code
    assert all(word in found.stderr for word in words), found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "data").exists()


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder where none can be made is named."""
    (tmp_path / "file").write_text("")
    found = run_serve(tmp_path / "file" / "data")
    assert found.returncode == 4
    assert "cannot be made" in found.stderr


@pytest.mark.slow
def test_told_to_stop_under_load(tmp_path: Path) -> None:
    """SIGTERM while senders are busy: it drains, and whatever was acknowledged is there."""
    acknowledged: set[str] = set()
    with serving(tmp_path) as service:
        senders = [
            Sender(service, f"sender-{number}", ("grpc", "http")[number % 2]) for number in range(2)
        ]
        for sender in senders:
            sender.start()
        time.sleep(1.5)
        assert service.terminate() == 0
        for sender in senders:
            acknowledged |= sender.finish()
        assert "not drained in time" not in service.said()
    assert acknowledged
    with serving(tmp_path) as service:
        position = service.ask("/api/v1/log/head")["position"]
        service.ask(f"/api/v1/tasks?limit=1&min_position={position}", timeout_s=30)
        missing = [t for t in sorted(acknowledged) if not _is_known(service, t)]
        assert not missing


def _is_known(service: Service, task: str) -> bool:
    try:
        service.ask(f"/api/v1/tasks/{task}")
    except urllib.error.HTTPError as exc:
        if exc.code != 404:
            raise
        return False
    return True

"""Two receivers behind one port: shared for real, with one log, one answer and no strangers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from events import names
from service.control.locks import RoleLock
from service.control.socket import call, instances
from service.network.ports import Ports
from service.telemetry.samples import Scrape
from tests import serving as running
from tests.otlp import START_NS, make_span, traces
from tests.serving import SERVE, Service, clean_environment, metric_of, serving, until

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def request_of(task: str, spans: int = 1) -> bytes:
    """A request of attempts of one task, always the same bytes."""
    number = sum(task.encode()) << 32 | hash_of(task)
    return traces(
        *(
            make_span(
                trace_id=(number * 1000 + place + 1).to_bytes(16, "big"),
                span_id=(number % 2**40 * 1000 + place + 1).to_bytes(8, "big"),
                start_time_unix_nano=START_NS + place,
                attributes={"task.id": task, "task.run.id": f"{task}-{place}"},
            )
            for place in range(spans)
        )
    ).SerializeToString()


def hash_of(text: str) -> int:
    """A number of 24 bits that is the same in every process."""
    return int.from_bytes(text.encode()[-3:], "big")


def send(service: Service, transport: str, body: bytes) -> int:
    """Send over a new connection; the position that the answer names."""
    if transport == "http":
        answer = httpx.post(
            f"http://{service.http}/v1/traces", content=body, trust_env=False, timeout=60,
            headers={"content-type": "application/x-protobuf"},
        )  # fmt: skip
        answer.raise_for_status()
        return int(answer.headers[names.POSITION_HEADER])
    # Channels to one address share a connection otherwise, and so a worker.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(service.grpc, options=options) as channel:
        _, answered = channel.unary_unary(EXPORT).with_call(body, timeout=10)
        return int(dict(answered.trailing_metadata())[names.POSITION_HEADER])


def taken(service: Service, instance: str, transport: str) -> float:
    """The requests that one worker has answered, as it tells itself."""
    told = msgspec.convert(call(service.data, instance, "metrics"), Scrape)
    return sum(
        value for family in told.families for name, labels, value in family.samples
        if name == "spanledger_requests_total" and labels["transport"] == transport
    )  # fmt: skip


def requests_over(service: Service, transport: str) -> float:
    """The requests of spans that all workers have answered, by the one answer of metrics."""
    labels = {"signal": "traces", "transport": transport}
    return metric_of(service, "spanledger_requests_total", **labels)


@pytest.mark.slow
def test_two_workers_share_everything(tmp_path: Path) -> None:
    """Both take requests of both transports; duplicates across them are stored once; their
    positions are good to wait for; one answer of metrics holds all."""
    with serving(tmp_path, "--workers", "2") as service:
        sent = dict.fromkeys(("grpc", "http"), 0)
        with ThreadPoolExecutor(8) as pool:
            for transport in sent:
                while not all(taken(service, f"receiver-{n}", transport) for n in (1, 2)):
                    assert sent[transport] < 400, f"one worker gets nothing over {transport}"
                    bodies = [request_of("same", 3)] * 10
                    list(pool.map(lambda body: send(service, transport, body), bodies))  # noqa: B023
                    sent[transport] += 10
        assert service.ask("/api/v1/log/head")["position"] == "3"
        for number in range(10):
            task = f"task-{number}"
            position = max(send(service, way, request_of(task)) for way in ("grpc", "http"))
            assert position == 4 + number
            found = service.ask(f"/api/v1/tasks/{task}?min_position={position}")
            assert found["task_id"] == task
        for transport, count in sent.items():
            assert requests_over(service, transport) == count + 10
        assert metric_of(service, "spanledger_events_total") == 13
        assert metric_of(service, "spanledger_duplicates_total") == 3 * sum(sent.values()) - 3 + 10
        families = [f.name for f in text_string_to_metric_families(
            running.text_of(service, "/metrics"))]  # fmt: skip
        assert len(families) == len(set(families))
        told = subprocess.run(
            [sys.executable, "-P", "-m", "service.cli.main", "status", "--json", "--data",
             str(service.data)],
            env=clean_environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert {"receiver-1", "receiver-2", "writer"} <= set(json.loads(told.stdout)["roles"])


class Insistent(threading.Thread):
    """Sends one request after the other, each over a new connection, until it is taken."""

    def __init__(self, service: Service, name: str, transport: str) -> None:
        super().__init__(name=name, daemon=True)
        self._service = service
        self._transport = transport
        self.ended = threading.Event()
        self.acknowledged: list[str] = []
        self.errors: list[Any] = []

    def run(self) -> None:
        while not self.ended.is_set():
            task = f"{self.name}-{len(self.acknowledged):03}"
            body = request_of(task, 2)
            while True:
                try:
                    send(self._service, self._transport, body)
                    break
                except (grpc.RpcError, httpx.HTTPError) as exc:
                    self.errors.append(exc)
                    time.sleep(0.02)
            self.acknowledged.append(task)
            time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """Workers and the writer are killed in turn under load: what was acknowledged is there once,
    and what was not is taken when it is sent again."""
    with serving(tmp_path, "--workers", "2") as service:
        senders = [Insistent(service, f"s{n}", ("grpc", "http")[n % 2]) for n in range(4)]
        for sender in senders:
            sender.start()
        for instance in ("receiver-1", "receiver-2", "writer", "receiver-1"):
            time.sleep(0.7)
            pid = service.children()[instance]
            os.kill(pid, signal.SIGKILL)
            until(lambda: service.children().get(instance) not in (None, pid))  # noqa: B023
        time.sleep(1.0)
        for sender in senders:
            sender.ended.set()
        for sender in senders:
            sender.join(30)
            assert not sender.is_alive()
        tasks = {task for sender in senders for task in sender.acknowledged}
        assert len(tasks) > 20
        head = service.ask("/api/v1/log/head")["position"]
        assert int(head) == 2 * len(tasks)
        found: dict[str, int] = {}
        cursor = ""
        while cursor is not None:
            page = service.ask(f"/api/v1/tasks?limit=1000&min_position={head}{cursor}")
            found |= {item["task_id"]: item["runs"] for item in page["items"]}
            cursor = f"&cursor={page['next']}" if page["next"] else None
        assert found == dict.fromkeys(tasks, 2)


def run_serve(data: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """A service that is expected to stop by itself."""
    return subprocess.run(
        [*SERVE, "--data", str(data), *args], capture_output=True, text=True, timeout=120,
        env=clean_environment(), check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_strangers_at_the_ports(workers: str, tmp_path: Path) -> None:
    """Another service with one worker or two, or one receiver of it alone, never joins a port."""
    with serving(tmp_path, "--workers", workers) as service:
        for name, address in (("grpc", service.grpc), ("http", service.http), ("api", service.api)):
            port = address.rpartition(":")[2]
            ports = {"grpc": "0", "http": "0", "api": "0"} | {name: port}
            options = [word for key, value in ports.items() for word in (f"--{key}-port", value)]
            for others in ("1", "2"):
                second = run_serve(tmp_path / "other", *options, "--workers", others)
                assert second.returncode == 4, second.stderr
                assert f"port {port} on 127.0.0.1 cannot be used" in second.stderr
                assert f"--{name}-port" in second.stderr
        port = service.grpc.rpartition(":")[2]
        alone = run_serve(
            tmp_path / "other", "--role", "receiver", "--workers", "2", "--grpc-port", port,
            "--http-port", "0",
        )  # fmt: skip
        assert alone.returncode == 4
        assert f"port {port}" in alone.stderr
        assert service.ask("/api/v1/health/ready")["status"] == "ready"


@pytest.mark.slow
def test_receivers_run_alone_share_their_port(tmp_path: Path) -> None:
    """Receivers of one data folder, each started by itself, may share a port when told to."""
    data = tmp_path / "data"
    started: list[Service] = []
    try:
        started.append(running.start(data, "--role", "writer"))
        started.append(running.start(data, "--role", "receiver", "--workers", "2"))
        grpc_address, http_address = running.addresses_of(started[1], "OTLP/gRPC", "OTLP/HTTP")
        ports = ["--grpc-port", grpc_address.rpartition(":")[2]]
        ports += ["--http-port", http_address.rpartition(":")[2]]
        started.append(running.start(data, "--role", "receiver", "--workers", "2", *ports))
        until(
            lambda: started[2].said().count("OTLP/HTTP") == 2 or "receiver-2" in started[2].said()
        )
        service = Service(data, started[1].process, started[1].output, grpc_address, http_address)
        assert {send(service, "http", request_of(f"t{n}")) for n in range(8)} == set(range(1, 9))
    finally:
        for one in reversed(started):
            one.kill()


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True], ids=["ports of their own", "one port"])
def test_receivers_run_alone_may_start_at_once(shared: bool, tmp_path: Path) -> None:
    """Two that start at the same moment take two numbers; both serve, on one port if told to."""
    data = tmp_path / "data"
    options = ["--role", "receiver"]
    if shared:
        with Ports("127.0.0.1", {"grpc_port": 0, "http_port": 0}) as ports:
            numbers = dict(ports.numbers)
        options += ["--workers", "2", "--grpc-port", str(numbers["grpc_port"])]
        options += ["--http-port", str(numbers["http_port"])]
    started = [running.start(data, "--role", "writer")]
    try:
        started += [running.start(data, *options, output=f"receiver-{n}") for n in (1, 2)]
        for number, receiver in enumerate(started[1:]):
            grpc_at, http_at = running.addresses_of(receiver, "OTLP/gRPC", "OTLP/HTTP")
            service = Service(data, receiver.process, receiver.output, grpc_at, http_at)
            assert send(service, "http", request_of(f"t{number}")) == number + 1
        names = {call(data, name, "ping")["instance"] for name in instances(data, "receiver")}
        assert names == {"receiver-1", "receiver-2"}
    finally:
        for one in reversed(started):
            one.kill()


@pytest.mark.slow
def test_receivers_are_bounded_in_number(tmp_path: Path) -> None:
    """One more than there may be is refused with a reason."""
    with contextlib.ExitStack() as held:
        for number in range(1, 65):
            held.enter_context(RoleLock(tmp_path, f"receiver-{number}"))
        refused = run_serve(tmp_path, "--role", "receiver")
    assert refused.returncode == 4
    assert f"64 receivers already run on {tmp_path}" in refused.stderr

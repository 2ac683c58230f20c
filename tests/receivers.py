"""A whole receiver on free ports of loopback, before a real log, for tests of the OTLP servers.

with receiving(tmp_path) as it:
    it.grpc_channel(), it.post("/v1/traces", …), it.events()
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from events.log.door import GroupDoor
from events.log.port import Appended, Batch, Door, Recorded
from events.log.reader import open_reader
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.otlp.receiver import Receiver

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
PROTOBUF = "application/x-protobuf"
START_NS = 1_780_000_000_000_000_000


@dataclass
class HeldDoor:
    """A door before another one that can be held shut: a disk that takes its time."""

    inner: Door
    held: list[tuple[Batch, "Future[Appended]"]] | None = None
    identity_key: bytes = field(init=False)
    log_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.identity_key, self.log_id = self.inner.identity_key, self.inner.log_id

    def append(self, batch: Batch, *, timeout_s: float = 30.0) -> Appended:
        return self.append_async(batch).result(timeout_s)

    def append_async(self, batch: Batch) -> "Future[Appended]":
        if self.held is None:
            return self.inner.append_async(batch)
        future: Future[Appended] = Future()
        self.held.append((batch, future))
        return future

    def hold(self) -> None:
        """Let nothing through from now on."""
        self.held = []

    def let_go(self) -> None:
        """Let through what waits and what comes."""
        held, self.held = self.held or [], None
        for batch, future in held:
            future.set_result(self.inner.append(batch))


@dataclass
class Receiving:
    """A running receiver."""

    data: Path
    door: HeldDoor
    receiver: Receiver
    tokens: TokenStore
    grpc: str
    http: str

    def export(
        self, body: bytes, method: str = TRACES, **options: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Send one gRPC request; the answer and the trailing metadata."""
        with self.channel() as channel:
            answer, call = channel.unary_unary(method).with_call(body, timeout=20, **options)
            return answer, dict(call.trailing_metadata())

    def refusal(self, body: bytes, method: str = TRACES, **options: Any) -> grpc.RpcError:
        """Send one gRPC request that is refused; the error."""
        try:
            self.export(body, method, **options)
        except grpc.RpcError as exc:
            return exc
        raise AssertionError("the request was taken")

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(
            self.grpc, options=[("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
        )

    def post(self, path: str, body: bytes | Any, kind: str = PROTOBUF, **headers: str) -> Any:
        """Send one HTTP request; a `_` in a header's name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(
            f"http://{self.http}{path}",
            content=body,
            headers={"content-type": kind} | named,
            timeout=20,
            trust_env=False,
        )

    def events(self) -> list[Recorded]:
        """Everything in the log."""
        reader = open_reader(self.data)
        try:
            found: list[Recorded] = []
            at = 0
            while (page := reader.read(0, at)).through > at:
                found += page.recorded()
                at = page.through
            return found
        finally:
            reader.close()


@contextlib.contextmanager
def receiving(data: Path, **changes: Any) -> Iterator[Receiving]:
    """A receiver with these settings, on free ports."""
    settings = Settings(**{"data": data, "grpc_port": 0, "http_port": 0} | changes)
    log = GroupDoor(data)
    door = HeldDoor(log)
    tokens = TokenStore(data / "tokens.json")
    receiver = Receiver(settings, door, tokens)
    try:
        ports = receiver.start()
        yield Receiving(data, door, receiver, tokens, ports["grpc"], ports["http"])
    finally:
        if door.held is not None:
            door.let_go()
        receiver.close()
        log.close()


def traces(count: int = 1, *, first: int = 1, **changes: Any) -> ExportTraceServiceRequest:
    """A request of `count` spans with ids from `first` on; `changes` are for the first span."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = resource.scope_spans.add().spans
    for number in range(first, first + count):
        spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name=f"span {number}",
            start_time_unix_nano=START_NS + number,
            end_time_unix_nano=START_NS + number + 1000,
        )
    for name, value in changes.items():
        setattr(spans[0], name, value)
    return request


def logs(count: int = 1, *, first: int = 1) -> ExportLogsServiceRequest:
    """A request of `count` log records."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for number in range(first, first + count):
        record = records.add(time_unix_nano=START_NS + number, event_name="task.attempt.started")
        record.body.string_value = f"record {number}"
    return request


def broken_utf8(request: ExportTraceServiceRequest, name: str) -> bytes:
    """The bytes of `request` with invalid UTF-8 in place of `name`."""
    data = request.SerializeToString()
    assert data.count(name.encode()) == 1
    return data.replace(name.encode(), b"\xff" * len(name))

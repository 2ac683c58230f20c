"""OTLP over gRPC: real sockets, a real log."""

import socket
import threading
import time
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from events.errors import Unavailable
from events.schema import LogRecord
from tests.receivers import LOGS, METRICS, TRACES, broken_utf8, logs, receiving, traces

POSITION = "spanledger-position"


def retry_delay_s(error: grpc.RpcError) -> int | None:
    """The delay of RetryInfo in the status details; None without one."""
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.RetryInfo()
    found = Status.FromString(details)
    assert found.code == error.code().value[0]
    return info.retry_delay.seconds if found.details and found.details[0].Unpack(info) else None


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_spans_are_stored(tmp_path: Path, compression: grpc.Compression) -> None:
    """Success says at which position everything is."""
    with receiving(tmp_path) as it:
        body = traces(5).SerializeToString()
        answer, trailers = it.export(body, compression=compression)
        assert (answer, trailers[POSITION]) == (b"", "5")
        assert [found.event.name for found in it.events()] == [f"span {n}" for n in range(1, 6)]


def test_logs_are_stored(tmp_path: Path) -> None:
    """Log records are events too."""
    with receiving(tmp_path) as it:
        assert it.export(logs(2).SerializeToString(), LOGS)[1][POSITION] == "2"
        assert all(isinstance(found.event, LogRecord) for found in it.events())


@pytest.mark.parametrize("body", [b"", b"garbage"])
def test_metrics_are_accepted_and_dropped(tmp_path: Path, body: bytes) -> None:
    """Metrics are never an error, whatever they hold."""
    with receiving(tmp_path) as it:
        answer, trailers = it.export(body, METRICS)
        assert answer == b""
        assert POSITION not in trailers
        assert it.events() == []


def test_bad_spans_are_refused_one_by_one(tmp_path: Path) -> None:
    """Partial success names the span and what is wrong with it."""
    with receiving(tmp_path) as it:
        answer, _ = it.export(traces(3, trace_id=b"short").SerializeToString())
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        assert partial.rejected_spans == 1
        assert "span 1" in partial.error_message
        assert "trace_id" in partial.error_message
        assert len(it.events()) == 2


def test_invalid_utf8_keeps_the_other_spans(tmp_path: Path) -> None:
    """A request that does not parse as a whole is split."""
    with receiving(tmp_path) as it:
        answer, _ = it.export(broken_utf8(traces(3), "span 2"))
        assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
        assert [found.event.name for found in it.events()] == ["span 1", "span 3"]


def test_garbage_is_a_permanent_error(tmp_path: Path) -> None:
    """What is no OTLP must not be sent again."""
    with receiving(tmp_path) as it:
        error = it.refusal(b"garbage")
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert retry_delay_s(error) is None


def test_logs_on_the_traces_path_are_recognised(tmp_path: Path) -> None:
    """The message says where they belong."""
    with receiving(tmp_path) as it:
        error = it.refusal(logs(2).SerializeToString())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "log" in error.details()
        assert it.events() == []


def test_oversized_message_is_refused(tmp_path: Path) -> None:
    """A message over the bound is not read, compressed or not."""
    with receiving(tmp_path, max_request_bytes=100_000) as it:
        assert it.refusal(bytes(100_001)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        bomb = it.refusal(bytes(10_000_000), compression=grpc.Compression.Gzip)
        assert bomb.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_full_queue_tells_when_to_try_again(tmp_path: Path) -> None:
    """RESOURCE_EXHAUSTED has RetryInfo, without which senders give up."""
    with receiving(tmp_path, queue_bytes=1 << 20) as it:
        it.door.hold()
        bodies = [traces(3000, first=1 + number * 3000) for number in range(16)]
        errors: list[grpc.RpcError] = []
        answers: list[bytes] = []

        def send(body: bytes) -> None:
            try:
                answers.append(it.export(body)[0])
            except grpc.RpcError as exc:
                errors.append(exc)

        senders = [
            threading.Thread(target=send, args=(body.SerializeToString(),)) for body in bodies
        ]
        for sender in senders:
            sender.start()
        ends_s = time.monotonic() + 10
        while not errors and time.monotonic() < ends_s:
            time.sleep(0.01)
        it.door.let_go()
        for sender in senders:
            sender.join()
        assert {error.code() for error in errors} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert retry_delay_s(errors[0]) == 1
        assert len(it.events()) == len(answers) * 3000


def test_failed_commit_is_retryable_and_stores_nothing(tmp_path: Path) -> None:
    """A draining writer is UNAVAILABLE with RetryInfo."""
    with receiving(tmp_path) as it:
        it.door.inner.drain(5)  # type: ignore[attr-defined]
        error = it.refusal(traces(1).SerializeToString())
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_delay_s(error) == 1
        assert it.events() == []


def test_tokens_and_tenants(tmp_path: Path) -> None:
    """With a token in the folder, others are kept out, and a bound token has its tenant."""
    with receiving(tmp_path) as it:
        secret = it.tokens.add("sender", "ingest", "acme")
        reader = it.tokens.add("reader", "read")
        body = traces(1).SerializeToString()
        assert it.refusal(body).code() is grpc.StatusCode.UNAUTHENTICATED
        known = (("authorization", f"Bearer {reader}"),)
        assert it.refusal(body, metadata=known).code() is grpc.StatusCode.PERMISSION_DENIED
        it.export(body, metadata=(("authorization", f"Bearer {secret}"),))
        assert [found.tenant for found in it.events()] == ["acme"]


def test_equal_ids_of_two_tenants_are_two_events(tmp_path: Path) -> None:
    """A tenant's events never meet another's."""
    with receiving(tmp_path) as it:
        body = traces(1).SerializeToString()
        for tenant in ("one", "two", "one"):
            it.export(body, metadata=(("x-scope-orgid", tenant),))
        assert [found.tenant for found in it.events()] == ["one", "two"]
        bad = it.refusal(body, metadata=(("x-scope-orgid", "a/b"),))
        assert bad.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_health_and_reflection(tmp_path: Path) -> None:
    """Probes and grpcurl work without a token."""
    with receiving(tmp_path) as it, it.channel() as channel:
        it.tokens.add("sender", "ingest")
        found = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert found.status == health_pb2.HealthCheckResponse.SERVING
        services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert "opentelemetry.proto.collector.trace.v1.TraceService" in services


def test_second_service_on_the_port_says_so(tmp_path: Path) -> None:
    """Two services never share a port silently."""
    with receiving(tmp_path) as it:
        port = int(it.grpc.rpartition(":")[2])
        other = tmp_path / "other"
        other.mkdir()
        with (
            pytest.raises(Unavailable, match=str(port)),
            receiving(other, grpc_port=port),
        ):
            pass


def test_drain_answers_what_was_taken(tmp_path: Path) -> None:
    """Told to stop, the receiver stores and answers what it took, and then refuses."""
    with receiving(tmp_path) as it:
        it.door.hold()
        answers: list[bytes] = []
        body = traces(2).SerializeToString()
        sender = threading.Thread(target=lambda: answers.append(it.export(body)[0]))
        sender.start()
        ends_s = time.monotonic() + 10
        while not it.door.held and time.monotonic() < ends_s:
            time.sleep(0.01)
        threading.Timer(0.2, it.door.let_go).start()
        it.receiver.drain(5)
        sender.join()
        assert answers == [b""]
        assert len(it.events()) == 2
        assert it.refusal(body).code() is grpc.StatusCode.UNAVAILABLE


def _ping(address: str, every_s: float, for_s: float) -> bool:
    """Whether a connection without a call outlives a ping every `every_s` seconds."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as peer:
        settings, acknowledged = b"\0\0\0\x04\0\0\0\0\0", b"\0\0\0\x04\x01\0\0\0\0"
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + acknowledged)
        received, ends_s = b"", time.monotonic() + for_s
        peer.settimeout(every_s)
        while time.monotonic() < ends_s:
            try:
                peer.sendall(b"\0\0\x08\x06\0\0\0\0\0" + b"12345678")
                while more := peer.recv(4096):
                    received += more
                return False
            except TimeoutError:
                continue
            except ConnectionError:
                return False
        assert received.count(b"12345678")
        return b"too_many_pings" not in received


def test_an_idle_connection_is_kept_by_its_pings(tmp_path: Path) -> None:
    """Without a call too, and within a bound: a flood of pings ends the connection."""
    with receiving(tmp_path) as it:
        assert _ping(it.grpc, 1.05, 6.5)
        assert not _ping(it.grpc, 0.01, 10)


def test_an_idle_channel_stays_ready(tmp_path: Path) -> None:
    """An exporter with frequent keepalive is never told to go away, and sends on."""
    seen: list[str] = []
    options = [
        ("grpc.keepalive_time_ms", 1200),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with receiving(tmp_path) as it, grpc.insecure_channel(it.grpc, options=options) as channel:
        channel.subscribe(lambda state: seen.append(state.name), try_to_connect=True)
        call = channel.unary_unary(TRACES)
        call(traces(1).SerializeToString(), timeout=10)
        time.sleep(7)
        call(traces(1, first=2).SerializeToString(), timeout=10)
        assert seen[-1] == "READY"
        assert seen.count("READY") == 1

"""The disk under a whole service: full, with space again, and the WAL under readers that linger."""

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.control.socket import call
from tests.acceptance.test_disk_trouble import _fill, _small_disk
from tests.serving import SERVE, Service, clean_environment, metric_of, open_stream, serving, until

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
START_NS = 1_780_000_000_000_000_000

pytestmark = pytest.mark.slow


def _body(seed: int, spans: int = 20, text_bytes: int = 9000) -> bytes:
    chance = Random(seed)
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        span = scope.spans.add(
            trace_id=chance.randbytes(16), span_id=chance.randbytes(8), name="work",
            start_time_unix_nano=START_NS, end_time_unix_nano=START_NS + 1,
        )  # fmt: skip
        pair = span.attributes.add(key="noise")
        pair.value.bytes_value = chance.randbytes(text_bytes)
    return request.SerializeToString()


def _post(
    service: Service, body: bytes, *, what: str = "traces", **headers: str
) -> tuple[int, dict[str, str]]:
    sent = {"content-type": "application/x-protobuf"} | headers
    request = urllib.request.Request(f"http://{service.http}/v1/{what}", body, sent)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)


def _ready(service: Service) -> bool:
    with contextlib.suppress(urllib.error.HTTPError):
        service.ask("/api/v1/health/ready")
        return True
    return False


def test_a_full_disk_is_told_and_gets_well_by_itself(tmp_path: Path) -> None:
    """Full: 503 and UNAVAILABLE with a time to come again, not ready; with space all is well."""
    with _small_disk(tmp_path / "disk", "48m") as disk, serving(disk) as service:
        assert _post(service, _body(1))[0] == 200
        _fill(disk / "ballast")
        statuses = [_post(service, _body(seed)) for seed in range(2, 10)]
        refused = [headers for status, headers in statuses if status == 503]
        assert refused
        assert all(int(headers["retry-after"]) >= 1 for headers in refused)
        with grpc.insecure_channel(service.grpc) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(EXPORT)(_body(9), timeout=20)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
            retry = RetryInfo()
            assert Status.FromString(details).details[0].Unpack(retry)
        assert not _ready(service)
        (disk / "ballast").unlink()
        until(lambda: _post(service, _body(9))[0] == 200)
        until(lambda: _ready(service))


def _send_wrong(service: Service) -> set[int]:
    """Send requests that are wrong in many ways, and as many new labels; returns the answers."""
    ways = (
        {}, {"content-type": "application/json"}, {"content-type": "text/plain"},
        {"content-encoding": "br"}, {"content-encoding": "gzip"}, {"x-scope-orgid": "a b"},
        {"authorization": "Bearer unknown"},
    )  # fmt: skip
    wrong = {
        _post(service, b"\xff" * 9, what=what, **headers)[0]
        for what in ("traces", "logs", "metrics", "nothing") for headers in ways
    }  # fmt: skip
    with grpc.insecure_channel(service.grpc) as channel:
        for what, metadata in itertools.product(
            ("Trace", "Logs", "Metrics"), ((), (("x-scope-orgid", "a b"),))
        ):
            name = f"opentelemetry.proto.collector.{what.lower()}.v1.{what}Service"
            export = channel.unary_unary(f"/{name}/Export")
            for body in (b"\xff" * 9, b""):
                with contextlib.suppress(grpc.RpcError):
                    export(body, timeout=20, metadata=metadata)
    return wrong


def _kill(service: Service, instance: str) -> None:
    """Kill a child, and wait until another one is ready in its place."""

    def now() -> dict[str, Any]:
        status = call(service.data, "supervisor", "status")
        return next(child for child in status if child["instance"] == instance)

    before = now()
    os.kill(before["pid"], signal.SIGKILL)
    until(lambda: now()["restarts"] > before["restarts"] and now()["ready"])
    assert now()["restarts"] == before["restarts"] + 1


def _refused(service: Service) -> float:
    """What the metrics tell about requests that could not be committed."""
    return metric_of(service, "spanledger_refused_total", reason="commit_failed", signal="traces")


def test_a_full_disk_ends_no_process(tmp_path: Path) -> None:
    """Full: many new labels and children that are killed change nothing about the answers."""
    with _small_disk(tmp_path / "disk", "48m") as disk, serving(disk) as service:
        assert _post(service, _body(1))[0] == 200
        before = service.children()
        _fill(disk / "ballast")
        assert _send_wrong(service) <= {200, 400, 404, 415}
        full = [_post(service, _body(seed))[0] for seed in range(2, 6)]
        assert full == [503] * 4
        assert service.children() == before
        until(lambda: _refused(service) == 4)
        for instance in ("api", "projector", "receiver"):
            _kill(service, instance)
        assert _send_wrong(service) <= {200, 400, 404, 415}
        assert [_post(service, _body(seed))[0] for seed in range(2, 6)] == full
        until(lambda: _refused(service) == 8)
        (disk / "ballast").unlink()
        until(lambda: _post(service, _body(9))[0] == 200)
        until(lambda: _ready(service))


@contextlib.contextmanager
def _lingering(service: Service) -> Iterator[None]:
    """A live tail nobody reads, a `log tail`, and questions all the time."""
    stream = open_stream(service, "/api/v1/events")
    tail = subprocess.Popen(
        [*SERVE[:-1], "log", "tail", "--data", str(service.data), "--json"],
        stdout=subprocess.DEVNULL, env=clean_environment(),
    )  # fmt: skip
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            service.ask("/api/v1/attempts")
            service.ask("/api/v1/log/head")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
        tail.terminate()
        tail.wait()
        stream.close()


def test_the_wal_stays_bounded_under_readers(tmp_path: Path) -> None:
    """200 MB appended under readers that come, go and linger leave WALs below 100 MB."""
    with serving(tmp_path) as service, _lingering(service):
        largest = 0
        for seed in range(110):
            assert _post(service, _body(seed, spans=200))[0] == 200
            wals = (
                (service.data / "ledger.db-wal").stat().st_size,
                *(wal.stat().st_size for wal in service.data.glob("views-*.db-wal")),
            )
            largest = max(largest, *wals)
            time.sleep(0.005)
        assert (service.data / "ledger.db").stat().st_size > 120 << 20
        assert largest < 100 << 20

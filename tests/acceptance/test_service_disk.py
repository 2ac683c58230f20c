"""The disk under a whole service: full, with space again, and the WAL under readers that linger."""

import contextlib
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from random import Random

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.acceptance.test_disk_trouble import _fill, _small_disk
from tests.serving import SERVE, Service, clean_environment, open_stream, serving, until

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


def _post(service: Service, body: bytes) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(
        f"http://{service.http}/v1/traces", body, {"content-type": "application/x-protobuf"}
    )
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

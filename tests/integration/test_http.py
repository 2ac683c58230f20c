"""OTLP over HTTP: real sockets, a real log."""

import contextlib
import gzip
import json
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from google.protobuf import json_format
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from events.log.memory import MemoryLog
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.network.protocol import BoundedProtocol
from service.otlp.decode.limits import Limits
from service.otlp.pipeline import Pipeline
from service.otlp.transport.http_server import HttpServer
from service.otlp.transport.intake import Intake
from tests.receivers import PROTOBUF, broken_utf8, logs, receiving, traces

JSON = "application/json"
MIB = 1 << 20
CODINGS: dict[str, Any] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def as_json(request: Any) -> bytes:
    """`request` by the OTLP/JSON rules: ids in hex."""
    document = json_format.MessageToDict(request)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for key, size in (("traceId", 16), ("spanId", 8)):
            number = int(span["name"].split()[1])
            span[key] = number.to_bytes(size, "big").hex()
    return json.dumps(document).encode()


@pytest.mark.parametrize("coding", ["identity", *CODINGS])
@pytest.mark.parametrize("kind", [PROTOBUF, JSON, "application/json; charset=utf-8"])
def test_spans_are_stored(tmp_path: Path, kind: str, coding: str) -> None:
    """Every encoding and compression ends in the same events; the answer has the encoding."""
    with receiving(tmp_path) as it:
        request = traces(5)
        body = request.SerializeToString() if kind == PROTOBUF else as_json(request)
        body = CODINGS.get(coding, bytes)(body)
        answer = it.post("/v1/traces", body, kind, content_encoding=coding)
        assert (answer.status_code, answer.headers["spanledger-position"]) == (200, "5")
        assert answer.content == (b"" if kind == PROTOBUF else b"{}")
        assert answer.headers["content-type"] == kind.partition(";")[0]
        assert [found.event.name for found in it.events()] == [f"span {n}" for n in range(1, 6)]


def test_json_and_protobuf_are_one_event(tmp_path: Path) -> None:
    """A resend in another encoding is a duplicate."""
    with receiving(tmp_path) as it:
        it.post("/v1/traces", traces(3).SerializeToString())
        it.post("/v1/traces", as_json(traces(3)), JSON)
        assert len(it.events()) == 3


def test_logs_and_metrics(tmp_path: Path) -> None:
    """Logs are stored; metrics are accepted and dropped, whatever they hold."""
    with receiving(tmp_path) as it:
        assert it.post("/v1/logs", logs(2).SerializeToString()).status_code == 200
        for body, kind in ((b"", PROTOBUF), (b"garbage", PROTOBUF), (b"[[", JSON)):
            assert it.post("/v1/metrics", body, kind).status_code == 200
        assert len(it.events()) == 2


def test_partial_success(tmp_path: Path) -> None:
    """Bad spans are refused one by one, in both encodings."""
    with receiving(tmp_path) as it:
        answer = it.post("/v1/traces", traces(3, trace_id=b"short").SerializeToString())
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        assert (answer.status_code, partial.rejected_spans) == (200, 1)
        body = as_json(traces(3, first=10)).replace(b'"%032x"' % 10, b'"zz"')
        found = it.post("/v1/traces", body, JSON).json()["partialSuccess"]
        assert found["rejectedSpans"] == "1"
        assert "trace_id" in found["errorMessage"]
        assert len(it.events()) == 4


def test_invalid_utf8_keeps_the_other_spans(tmp_path: Path) -> None:
    """A request that does not parse as a whole is split."""
    with receiving(tmp_path) as it:
        answer = it.post("/v1/traces", broken_utf8(traces(3), "span 2"))
        found = ExportTraceServiceResponse.FromString(answer.content)
        assert found.partial_success.rejected_spans == 1
        assert len(it.events()) == 2


@pytest.mark.parametrize(
    ("path", "body", "kind", "status"),
    [
        ("/v1/traces", b"garbage", PROTOBUF, 400),
        ("/v1/traces", b"garbage", JSON, 400),
        ("/v1/traces", b"[" * 100_000, JSON, 400),
        ("/v1/traces", b'{"resourceSpans":' * 50_000, JSON, 400),
        ("/v1/traces", b"", "text/plain", 415),
        ("/v1/traces", b"", "", 415),
        ("/v1/trace", b"", PROTOBUF, 404),
        ("/v1/traces", logs(2).SerializeToString(), PROTOBUF, 400),
    ],
)
def test_refused(tmp_path: Path, path: str, body: bytes, kind: str, status: int) -> None:
    """A bad request is told so in its encoding, and nothing is stored."""
    with receiving(tmp_path) as it:
        answer = it.post(path, body, kind)
        assert answer.status_code == status
        if kind == PROTOBUF:
            assert Status.FromString(answer.content).message
        else:
            assert answer.json()["message"]
        assert it.events() == []
        assert it.post("/v1/traces", traces(1).SerializeToString()).status_code == 200


def test_wrong_method(tmp_path: Path) -> None:
    """Only POST sends."""
    with receiving(tmp_path) as it:
        answer = httpx.get(f"http://{it.http}/v1/traces", trust_env=False)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("coding", CODINGS)
def test_bombs_stop_at_the_bound(tmp_path: Path, coding: str) -> None:
    """A small body that grows beyond the bound is refused."""
    with receiving(tmp_path, max_decompressed_bytes=MIB) as it:
        bomb = CODINGS[coding](bytes(200 * MIB))
        assert it.post("/v1/traces", bomb, content_encoding=coding).status_code == 413


@pytest.mark.parametrize("coding", CODINGS)
def test_torn_compression_is_refused(tmp_path: Path, coding: str) -> None:
    """A compressed body that ends too early is no smaller request."""
    with receiving(tmp_path) as it:
        torn = CODINGS[coding](traces(50).SerializeToString())[:-5]
        assert it.post("/v1/traces", torn, content_encoding=coding).status_code == 400
        wrong = it.post("/v1/traces", traces(1).SerializeToString(), content_encoding=coding)
        assert wrong.status_code == 400
        assert it.events() == []


def test_several_members_are_one_body(tmp_path: Path) -> None:
    """gzip and zstd allow a body of several parts."""
    body = traces(50).SerializeToString()
    with receiving(tmp_path) as it:
        for coding in ("gzip", "zstd"):
            parts = b"".join(CODINGS[coding](part) for part in (body[:700], body[700:]))
            assert it.post("/v1/traces", parts, content_encoding=coding).status_code == 200
        assert len(it.events()) == 50


def test_unknown_compression(tmp_path: Path) -> None:
    """The message names what is taken."""
    with receiving(tmp_path) as it:
        answer = it.post("/v1/traces", b"", JSON, content_encoding="br")
        assert answer.status_code == 415
        assert "zstd" in answer.json()["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_oversized_body(tmp_path: Path, announced: bool) -> None:
    """Told by its length or found while reading, a large body is refused, and the sender hears."""
    with receiving(tmp_path, max_request_bytes=100_000) as it:
        body = bytes(5_000_000)

        def chunks() -> Iterator[bytes]:
            for at in range(0, len(body), 65536):
                yield body[at : at + 65536]

        answer = it.post("/v1/traces", body if announced else chunks())
        assert answer.status_code == 413


def test_tokens(tmp_path: Path) -> None:
    """A sender without a token is told to bring one."""
    with receiving(tmp_path) as it:
        secret = it.tokens.add("sender", "ingest", "acme")
        body = traces(1).SerializeToString()
        answer = it.post("/v1/traces", body)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        known = {"authorization": f"Bearer {secret}"}
        assert it.post("/v1/traces", body, **known, x_scope_orgid="other").status_code == 403
        assert it.post("/v1/traces", body, **known).status_code == 200
        assert [found.tenant for found in it.events()] == ["acme"]


def test_writer_that_drains_is_retryable(tmp_path: Path) -> None:
    """503 has Retry-After and RetryInfo."""
    with receiving(tmp_path) as it:
        it.door.inner.drain(5)  # type: ignore[attr-defined]
        answer = it.post("/v1/traces", traces(1).SerializeToString())
        info = error_details_pb2.RetryInfo()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert Status.FromString(answer.content).details[0].Unpack(info)


def test_full_queue_is_429(tmp_path: Path) -> None:
    """A sender is told when to try again, and what was taken is stored."""
    with receiving(tmp_path, queue_bytes=MIB) as it:
        it.door.hold()
        bodies = [traces(3000, first=1 + n * 3000).SerializeToString() for n in range(16)]
        answers: list[Any] = []
        senders = [
            threading.Thread(target=lambda body=body: answers.append(it.post("/v1/traces", body)))
            for body in bodies
        ]
        for sender in senders:
            sender.start()
        ends_s = time.monotonic() + 10
        while not answers and time.monotonic() < ends_s:
            time.sleep(0.01)
        it.door.let_go()
        for sender in senders:
            sender.join()
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in refused} == {429}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        assert len(it.events()) == (len(bodies) - len(refused)) * 3000


def test_cors(tmp_path: Path) -> None:
    """Only origins that the settings name may send from a browser."""
    with receiving(tmp_path, cors_origins=("https://good.test",)) as it:

        def preflight(origin: str) -> Any:
            asked = {"origin": origin, "access-control-request-headers": "content-type"}
            return httpx.options(f"http://{it.http}/v1/traces", headers=asked, trust_env=False)

        good = preflight("https://good.test")
        assert good.status_code == 204
        assert good.headers["access-control-allow-origin"] == "https://good.test"
        assert "access-control-allow-origin" not in preflight("https://bad.test").headers
        sent = it.post("/v1/traces", traces(1).SerializeToString(), origin="https://good.test")
        assert "Spanledger-Position" in sent.headers["access-control-expose-headers"]


@contextlib.contextmanager
def impatient(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """An HTTP server that waits a moment only."""
    settings = Settings(data=tmp_path, http_port=0)
    pipeline = Pipeline(MemoryLog(), Limits(), None, MIB)
    intake = Intake(pipeline, TokenStore(tmp_path / "tokens.json"))
    server = HttpServer(settings, intake, body_timeout_s=0.3)
    host, _, port = server.start().partition(":")
    try:
        yield host, int(port)
    finally:
        server.close()
        pipeline.drain(1)


def test_slow_body_times_out(tmp_path: Path) -> None:
    """A client that stops in the middle of a body is told and cut off."""
    with impatient(tmp_path) as address, socket.create_connection(address, timeout=10) as peer:
        peer.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
            b"content-type: application/json\r\n\r\n{"
        )
        answer = b""
        while received := peer.recv(4096):
            answer += received
        assert re.match(rb"HTTP/1.1 408 ", answer)


def test_slow_headers_time_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that never finishes its headers is cut off."""
    monkeypatch.setattr(BoundedProtocol, "headers_s", 0.3)
    with impatient(tmp_path) as address, socket.create_connection(address, timeout=10) as peer:
        peer.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\n")
        assert peer.recv(4096) == b""


def test_endless_headers_are_cut_off(tmp_path: Path) -> None:
    """Headers are bounded in size."""
    with impatient(tmp_path) as address, socket.create_connection(address, timeout=10) as peer:
        headers = b"x-more: xxxxxxxx\r\n" * 1_000_000
        with pytest.raises(ConnectionError):
            peer.sendall(b"POST /v1/traces HTTP/1.1\r\n" + headers)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_many_empty_parts_are_refused(tmp_path: Path, coding: str) -> None:
    """Each costs more than its bytes; a body of many real ones is taken."""
    with receiving(tmp_path) as it:
        empty = CODINGS[coding](b"") * 100_000
        answer = it.post("/v1/traces", empty, JSON, content_encoding=coding)
        assert answer.status_code == 400
        assert "compress it as a whole" in answer.json()["message"]
        body = traces(12_000).SerializeToString()
        parts = b"".join(CODINGS[coding](body[at : at + 6000]) for at in range(0, len(body), 6000))
        assert it.post("/v1/traces", parts, content_encoding=coding).status_code == 200


@pytest.mark.parametrize("coding", ["identity, gzip", "GZIP", "gzip ,identity", ""])
def test_lists_of_codings(tmp_path: Path, coding: str) -> None:
    """Identity is no coding, and names have no case."""
    with receiving(tmp_path) as it:
        body = traces(2).SerializeToString()
        body = gzip.compress(body) if coding else body
        assert it.post("/v1/traces", body, content_encoding=coding).status_code == 200
        assert it.post("/v1/traces", body, content_encoding="gzip, zstd").status_code == 415

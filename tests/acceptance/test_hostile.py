"""Hostile input to a whole service: a clear answer each, no crash, no growth, and no harm.

After everything that is sent here the service has not been restarted, its receiver has not grown,
it answers an ordinary request at once, and views and forward target hold what was kept.
"""

import gzip
import http.client
import json
import random
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import grpc
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from service.control.socket import call
from tests.acceptance.processes import rss_bytes
from tests.invariants import wait_views
from tests.otlp import START_NS, logs, make_log, make_span, pair, part, to_json, traces
from tests.resending import TRACES_METHOD, attempts_request, post_grpc, post_http
from tests.serving import Service, serving

pytestmark = pytest.mark.slow

PROTOBUF, JSON = "application/x-protobuf", "application/json"
GROWTH_BYTES = 700 << 20
"""Of the receiver over all tests here: a few bodies at their bounds, and what malloc keeps."""
MIB = 1 << 20


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all; at the end nothing of it may have died, and its views are whole."""
    with serving(tmp_path_factory.mktemp("hostile")) as it:
        before = rss_bytes(it.children()["receiver"])
        pids = it.children()
        yield it
        assert it.children() == pids, it.said()[-3000:]
        assert rss_bytes(pids["receiver"]) - before < GROWTH_BYTES
        assert rss_bytes(pids["projector"]) < 2 * GROWTH_BYTES
        wait_views(it)
        (live,) = [call(it.data, "projector", "deadletters")]
        assert live == []
        assert it.ask("/api/v1/attempts?limit=1000")["items"]


@pytest.fixture(autouse=True)
def _answers_at_once(service: Service) -> Iterator[None]:
    """After each test an ordinary request is answered soon."""
    yield
    started_s = time.monotonic()
    request = attempts_request("ordinary", time.monotonic_ns(), random.Random(started_s))
    post_http(service.http, request.SerializeToString())
    assert time.monotonic() - started_s < 5


def send(service: Service, body: bytes, kind: str = PROTOBUF, path: str = "/v1/traces",
         **headers: str) -> Answer:  # fmt: skip
    connection = http.client.HTTPConnection(service.http, timeout=60)
    with closing(connection):
        connection.request("POST", path, body, {"content-type": kind} | headers)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())


def send_grpc(service: Service, body: bytes, compression: Any = None) -> tuple[str, str, bytes]:
    """The code, the message and the answer."""
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(service.grpc, options, compression) as channel:
        try:
            return "OK", "", channel.unary_unary(TRACES_METHOD)(body, timeout=60)
        except grpc.RpcError as exc:
            error: Any = exc
            return error.code().name, error.details(), b""


def partial(body: bytes) -> tuple[int, str]:
    """The refused spans and the reason of an answer in protobuf."""
    found = ExportTraceServiceResponse.FromString(body).partial_success
    return found.rejected_spans, found.error_message


def stored(service: Service) -> int:
    return int(service.ask("/api/v1/log/head")["position"])


def unique(number: int = 0, **changes: Any) -> Any:
    """A span that nobody sent before."""
    return make_span(trace_id=random.randbytes(16), name=f"hostile-{number}", **changes)


def test_truncated_and_mutated(service: Service) -> None:
    """Every cut and 300 random mutations: taken in part or refused, never an error of ours."""
    chance = random.Random(7)
    whole = attempts_request("cut", 1, chance).SerializeToString()
    text = to_json(attempts_request("cut", 2, chance))
    for at in range(0, len(whole), 97):
        assert send(service, whole[:at]).status in (200, 400)
        assert send(service, text[:at], JSON).status in (200, 400)
    codes = set()
    for _ in range(150):
        for body, kind in ((whole, PROTOBUF), (text, JSON)):
            mutated = bytearray(body)
            for _ in range(chance.randint(1, 9)):
                mutated[chance.randrange(len(mutated))] = chance.randrange(256)
            answer = send(service, bytes(mutated), kind)
            assert answer.status in (200, 400), answer
            if kind == PROTOBUF:
                codes.add(send_grpc(service, bytes(mutated))[0])
    assert codes <= {"OK", "INVALID_ARGUMENT"}


def test_oversized(service: Service) -> None:
    """More than the bound of a body is refused as too large, announced or not."""
    body = bytes(17 * MIB)
    assert send(service, body).status == 413
    assert send_grpc(service, body)[0] == "RESOURCE_EXHAUSTED"

    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)

    answer = send(service, chunks())  # type: ignore[arg-type]
    assert answer.status == 413
    assert b"over 16777216 bytes" in answer.body


@pytest.mark.parametrize(
    ("kind", "headers", "path", "status"),
    [
        ("text/plain", {}, "/v1/traces", 415),
        ("", {}, "/v1/traces", 415),
        (PROTOBUF, {"content-encoding": "br"}, "/v1/traces", 415),
        (PROTOBUF, {"content-encoding": "gzip"}, "/v1/traces", 400),
        (PROTOBUF, {"content-encoding": "zstd"}, "/v1/traces", 400),
        (PROTOBUF, {"content-encoding": "deflate"}, "/v1/traces", 400),
        (JSON, {}, "/v1/traces", 400),
        (PROTOBUF, {}, "/v1/nothing", 404),
    ],
)
def test_wrong_types(
    kind: str, headers: dict[str, str], path: str, status: int, service: Service
) -> None:
    """A body that is not what its headers say is refused with the reason."""
    answer = send(service, traces(unique()).SerializeToString(), kind, path, **headers)
    assert answer.status == status
    assert len(answer.body) > 10


def test_the_wrong_signal(service: Service) -> None:
    """Log records sent to the traces path are recognised."""
    answer = send(service, logs(make_log()).SerializeToString())
    assert answer.status == 400
    assert b"/v1/logs" in answer.body


def packed(coding: str, plain: bytes) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdCompressor().compress(plain)
    return gzip.compress(plain, 1) if coding == "gzip" else zlib.compress(plain, 1)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_zip_bombs(coding: str, service: Service) -> None:
    """Small bodies that would be large, in bytes or in what is parsed from them."""
    bomb = packed(coding, bytes(256 * MIB))
    answer = send(service, bomb, **{"content-encoding": coding})
    assert answer.status == 413
    below = packed(coding, b"\x12\x00" * (30 * MIB))
    for path in ("/v1/traces", "/v1/logs", "/v1/metrics"):
        request = packed(coding, part(1, part(2, b"\x12\x00" * (30 * MIB))))
        answer = send(service, request, path=path, **{"content-encoding": coding})
        assert answer.status == (200 if path.endswith("metrics") else 413)
        assert send(service, below, path=path, **{"content-encoding": coding}).status < 500


def test_zip_bombs_over_grpc(service: Service) -> None:
    """gRPC's own compression is bounded like a body."""
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert send_grpc(service, bytes(64 * MIB), compression)[0] == "RESOURCE_EXHAUSTED"
        code, message, _ = send_grpc(service, b"\x0a\x04\x12\x02\x12\x00" * (2 * MIB), compression)
        assert (code, "the request holds too many" in message) == ("INVALID_ARGUMENT", True), (
            message
        )


def test_deep_values(service: Service) -> None:
    """Values nested without end are cut or refused; the request's other span is kept."""
    before = stored(service)
    for depth in (20, 50, 5000):
        value = b"\x18\x01"
        for _ in range(depth):
            value = part(5, part(1, value))
        deep = unique().SerializeToString() + part(9, part(1, b"deep") + part(2, value))
        body = part(1, part(2, part(2, deep) + part(2, unique(1).SerializeToString())))
        assert send(service, body).status == 200
        assert send_grpc(service, body)[0] == "OK"
    assert stored(service) - before >= 4
    assert send(service, b'{"resourceSpans":' + b"[" * MIB, JSON).status == 400
    assert send(service, b'{"a":' * 100_000, JSON).status == 413  # too many objects for its size
    text = '{"arrayValue":{"values":[' * 50_000 + "]}}" * 50_000
    whole = to_json(traces(unique())).decode()
    assert '"name": "hostile-0"' in whole
    whole = whole.replace('"name":', f'"attributes":[{{"key":"k","value":{text}}}],"name":')
    assert send(service, whole.encode(), JSON).status == 400


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace_id": b"short"}, "trace_id"),
        ({"trace_id": bytes(16)}, "trace_id"),
        ({"span_id": bytes(9)}, "span_id"),
        ({"parent_span_id": b"abc"}, "parent_span_id"),
        ({"start_time_unix_nano": 0}, "start_time"),
        ({"start_time_unix_nano": 1 << 63}, "start_time"),
        ({"end_time_unix_nano": (1 << 64) - 1}, "end_time"),
    ],
)
def test_bad_spans_are_refused_alone(
    changes: dict[str, Any], reason: str, service: Service
) -> None:
    """The other spans of the request are stored, and the answer names the bad one."""
    fields = {"trace_id": random.randbytes(16), "name": "bad"} | changes
    message = traces(unique(1), make_span(**fields), unique(2))
    before = stored(service)
    count, why = partial(send(service, message.SerializeToString()).body)
    assert (count, reason in why) == (1, True), why
    code, _, body = send_grpc(service, message.SerializeToString())
    assert (code, partial(body)[0]) == ("OK", 1)
    answer = json.loads(send(service, to_json(message), JSON).body)
    assert answer["partialSuccess"]["rejectedSpans"] == "1"
    assert stored(service) == before + 2


def test_invalid_utf8_is_refused_alone(service: Service) -> None:
    """One string of bad bytes makes protobuf refuse the whole; we keep the rest."""
    body = traces(unique(1), unique(2, trace_state="BAD"), unique(3)).SerializeToString()
    before = stored(service)
    for answer in (send(service, body.replace(b"BAD", b"\xff\xfe\xfd")).body,
                   send_grpc(service, body.replace(b"BAD", b"\xff\xfe\xfd"))[2]):  # fmt: skip
        count, why = partial(answer)
        assert (count, "UTF-8" in why) == (1, True)
    assert stored(service) == before + 2


def test_odd_times_and_numbers_are_kept(service: Service) -> None:
    """Ends before starts, years 1970, 2200 and 2262, NaN: stored, and answered by the API."""
    year_2200 = 7_258_118_400_000_000_000
    odd = [
        {"end_time_unix_nano": START_NS - 9},
        {"start_time_unix_nano": 1, "end_time_unix_nano": 2},
        {"start_time_unix_nano": year_2200, "end_time_unix_nano": year_2200 + 7},
        {"start_time_unix_nano": (1 << 63) - 2, "end_time_unix_nano": (1 << 63) - 1},
        {"start_time_unix_nano": 1, "end_time_unix_nano": (1 << 63) - 1},
        {"attributes": [pair("n", AnyValue(double_value=value))
                        for value in (float("nan"), float("inf"))]},
    ]  # fmt: skip
    spans = []
    for number, changes in enumerate(odd):
        span = unique(number, **changes)
        span.attributes.append(pair("task.id", f"odd-{number}"))
        spans.append(span)
    before = stored(service)
    position = post_http(service.http, to_json(traces(*spans)), JSON)
    assert post_grpc(service.grpc, traces(*spans).SerializeToString()) is not None
    assert stored(service) == before + len(odd)
    for number, span in enumerate(spans):
        path = f"/api/v1/tasks/odd-{number}/runs?min_position={position}"
        assert len(service.ask(path)["items"]) == 1, number
        assert len(service.ask(f"/api/v1/traces/{span.trace_id.hex()}")["spans"]) == 1
    for path in ("metrics/tasks", "history", "attempts", "runs", "tasks"):
        assert service.ask(f"/api/v1/{path}?limit=1000")["items"]


def test_large_attributes_are_cut(service: Service) -> None:
    """A value of 10 MB and 100,000 attributes are cut, and said to be; the span is kept."""
    before = stored(service)
    large = unique(1, attributes={"blob": "x" * 10_000_000, "task.id": "large"})
    many = unique(2, attributes={f"key-{n}": n for n in range(100_000)})
    body = traces(large, many, unique(3)).SerializeToString()
    position = post_http(service.http, body)
    assert stored(service) == before + 3
    post_http(service.http, to_json(traces(unique(4, attributes={"b": "y" * 10_000_000}))), JSON)
    (span,) = service.ask(
        f"/api/v1/traces/{large.trace_id.hex()}?min_position={position}"
    )["spans"]  # fmt: skip
    assert len(json.dumps(span)) < MIB


def test_most_spans_that_one_request_may_hold(service: Service) -> None:
    """A body full of the smallest spans is stored and folded, or refused, in bounded memory."""
    spans = [make_span(trace_id=b"m" * 16, span_id=n.to_bytes(8, "big"), name="")
             for n in range(1, 150_001)]  # fmt: skip
    assert send(service, traces(*spans).SerializeToString()).status == 200
    more = traces(*spans, *spans[:60_000]).SerializeToString()
    assert send(service, more).status == 413
    wait_views(service)


def test_everything_to_be_scrubbed(service: Service) -> None:
    """16 MiB of strings full of what looks private hold nobody up for long."""
    text = "bob@x.org 10.0.0.1 token=abc " * 240
    spans = [unique(n, attributes={f"k{m}": f"{text}{m}" for m in range(8)}) for n in range(280)]
    body = traces(*spans).SerializeToString()
    started_s = time.monotonic()
    assert send(service, body).status == 200
    assert time.monotonic() - started_s < 15


def test_slow_clients_and_many_connections(service: Service) -> None:
    """Hundreds of connections that send a byte now and then, or nothing, take nobody's place."""
    host, port = service.http.split(":")
    with ExitStack() as held:
        slow = [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(300)]
        slow += [
            held.enter_context(socket.create_connection(service.grpc.split(":")))  # type: ignore[arg-type]
            for _ in range(100)
        ]
        for number, one in enumerate(slow):
            head = b"POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf\r\n"
            one.sendall(head[: 1 + number % len(head)])
        ended_s = time.monotonic() + 18
        for _ in range(3):
            started_s = time.monotonic()
            post_grpc(service.grpc, traces(unique()).SerializeToString())
            post_http(service.http, traces(unique()).SerializeToString())
            assert time.monotonic() - started_s < 5
        time.sleep(max(ended_s - time.monotonic(), 0))
        for one in slow[:300]:
            one.settimeout(5)
            assert one.recv(1000) == b""

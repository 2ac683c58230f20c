"""Bodies that would become hundreds of times as large are refused before they are parsed."""

import random
from collections.abc import Callable

import pytest

from events.errors import TooLarge
from service.otlp.decode import protobuf, weight
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.decoder import decode_logs, decode_traces
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.decode.metric_count import count_metrics
from service.otlp.request import Encoding
from tests.otlp import make_span, part, traces
from tests.resending import attempts_request

SIZE_BYTES = 8 << 20


def request(spans: bytes) -> bytes:
    return part(1, part(2, spans))


def one_span(more: bytes) -> bytes:
    return request(part(2, make_span().SerializeToString() + more))


def value(more: bytes) -> bytes:
    """A span with one attribute of this value."""
    return one_span(part(9, part(1, b"k") + part(2, more)))


def fill(unit: bytes) -> bytes:
    return unit * (SIZE_BYTES // len(unit))


def json_spans(more: bytes) -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + more + b"{}]}]}]}"


SMALL = make_span(name="", end_time_unix_nano=0).SerializeToString()
BOMBS = {
    "resources": fill(b"\x0a\x00"),
    "scopes": part(1, fill(b"\x12\x00")),
    "empty spans": request(fill(b"\x12\x00")),
    "small spans": request(fill(part(2, SMALL))),
    "groups": fill(request(part(2, SMALL))),
    "attributes": one_span(fill(b"\x4a\x00")),
    "events": one_span(fill(b"\x5a\x00")),
    "links": one_span(fill(b"\x6a\x00")),
    "values": value(part(5, fill(b"\x0a\x00"))),
    "pairs": value(part(6, fill(b"\x0a\x00"))),
    "entities": part(1, part(1, fill(b"\x1a\x00"))),
    "behind long keys": request(fill(b"\x92\x80\x00\x80\x00")),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_protobuf_bombs(name: str) -> None:
    """Parts are counted before any is made."""
    decode = decode_logs if name in ("scopes", "values") else protobuf.decode_traces
    with pytest.raises(TooLarge, match="too many parts"):
        decode(BOMBS[name], Limits())


@pytest.mark.parametrize(
    ("name", "what"), [("small spans", "spans"), ("groups", "resources and scopes")]
)
def test_protobuf_bombs_of_the_native_decoder(name: str, what: str) -> None:
    """It stops before they take much, and says of what there is too much."""
    with pytest.raises(TooLarge, match=f"too many {what}"):
        decode_traces(BOMBS[name], Limits())


@pytest.mark.parametrize("name", ["resources", "scopes", "entities", "behind long keys"])
def test_what_holds_nothing_costs_nothing(name: str) -> None:
    """Parts in which no span is are passed over."""
    try:
        assert decode_traces(BOMBS[name], Limits()).accepted == 0
    except TooLarge as exc:
        assert "too many spans" in str(exc)  # noqa: PT017 - either is right


def test_a_large_resource_is_not_repeated_without_end() -> None:
    """Each scope stores its resource: two hundred bytes of scopes would become gigabytes."""
    pairs = b"".join(part(1, part(1, b"%d" % n) + part(2, part(1, b"x" * 900))) for n in range(200))
    body = part(1, part(1, pairs) + part(2, part(2, SMALL)) * 450)
    for decode in (decode_traces, protobuf.decode_traces):
        with pytest.raises(TooLarge, match="scopes under large resources"):
            decode(body, Limits())
        few = part(1, part(1, pairs) + part(2, part(2, SMALL)) * 5)
        assert decode(few, Limits()).accepted == 5


@pytest.mark.parametrize("decode", [decode_traces_json, decode_logs_json])
@pytest.mark.parametrize(
    "body",
    [
        json_spans(fill(b"{},")),
        json_spans(b"{}," * weight.MAX_EVENTS),
        b'{"resourceSpans":[' + fill(b"{},") + b"{}]}",
        json_spans(fill(b"{},")).replace(b"ans", b"ans_"),
    ],
)
def test_json_bombs(body: bytes, decode: Callable[[bytes, Limits], Decoded]) -> None:
    """Objects are counted before they are made, and spans before they are looked at."""
    if decode is decode_logs_json:
        body = body.replace(b"Spans", b"Logs").replace(b'"spans', b'"logRecords')
    with pytest.raises(TooLarge, match="too many parts"):
        decode(body, Limits())


def test_metrics_bombs_are_not_counted() -> None:
    """Metrics are dropped; a bomb among them is not even parsed."""
    assert count_metrics(Encoding.PROTOBUF, fill(b"\x0a\x00")) == 1
    body = b'{"resourceMetrics":[' + fill(b"{},") + b"{}]}"
    assert count_metrics(Encoding.JSON, body) == 1


def test_large_ordinary_requests_are_light() -> None:
    """The largest body that is taken uncompressed, of ordinary attempts."""
    chance = random.Random(3)
    blob = {"blob": "x" * 300, **{f"key {number}": "value" for number in range(12)}}
    requests = [traces(make_span(attributes=blob))] * 20
    requests += [attempts_request("s", n, chance) for n in range(20)]
    unit = b"".join(message.SerializeToString() for message in requests)
    weight.check_protobuf(unit * ((16 << 20) // len(unit)))


def test_torn_bodies_end_the_walk() -> None:
    """Whatever the bytes are, the walk ends and does not fail."""
    chance = random.Random(5)
    for _ in range(50):
        weight.check_protobuf(chance.randbytes(weight.LIGHT_BYTES + 100))

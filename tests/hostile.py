"""Bodies that are cheap to send and were dear to decode, as a table; and honest ones beside them.

Each shape makes a body of about `size` bytes, before it is compressed if it is; and says which
decoder it is for.
"""

import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

import zstandard

from service.otlp.decode.decoded import Decoded
from service.otlp.decode.decoder import decode_logs, decode_traces
from service.otlp.decode.json_body import decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.decode.metric_count import count_metrics
from service.otlp.decompression import decompress
from service.otlp.request import Encoding
from tests.otlp import logs as log_request
from tests.otlp import make_log, make_span, part, to_json
from tests.resending import attempts_request

Decode = Callable[[bytes, Limits], Decoded]
_SPAN: Final = make_span().SerializeToString()
_TIMED: Final = b"\x09" + (1_763_700_000_000_000_000).to_bytes(8, "little")
_SMALL: Final = part(2, make_span(name="", end_time_unix_nano=0).SerializeToString())
_JSON: Final = (
    b'{"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0102030405060708",'
    b'"startTimeUnixNano":"1763700000000000000"%b}'
)


class Shape(NamedTuple):
    """How a body is made, which decoder takes it, and the honest shape to compare it with.

    `packed`: it is compressed, and may cost as much as its size before that is worth.
    """

    make: Callable[[int], bytes]
    decode: Decode
    honest: str
    packed: bool = False


def _metrics(body: bytes, limits: Limits) -> Decoded:
    return Decoded([], count_metrics(Encoding.PROTOBUF, body), 0, [], {})


def _filled(unit: bytes, size: int) -> bytes:
    return unit * max(size // len(unit), 1)


def _group(spans: bytes) -> bytes:
    return part(1, part(2, spans))


def _in_span(unit: bytes) -> Callable[[int], bytes]:
    return lambda size: _group(part(2, _SPAN + _filled(unit, size)))


def _as_spans(unit: bytes) -> Callable[[int], bytes]:
    return lambda size: _group(_filled(unit, size))


def _nested(number: int, levels: int) -> bytes:
    value = b"\x18\x01"
    for _ in range(levels):
        value = part(number, part(1, value if number == 5 else part(1, b"k") + part(2, value)))
    return part(9, part(1, b"k") + part(2, value))


def _attributes(count: int, number: int = 9) -> bytes:
    """Small attributes of `count` keys, as field `number`."""
    value = part(2, b"\x18\x01")
    return b"".join(part(number, part(1, b"%d" % n) + value) for n in range(count))


def _resource_of_scopes(size: int) -> bytes:
    """One resource of very many attributes, with scopes of one span each."""
    resource = part(1, _attributes(250, 1))
    scopes = (part(2, part(1, part(1, b"%d" % n)) + part(2, _SPAN)) for n in range(size // 200))
    return part(1, resource + b"".join(scopes))


def _large_resource(size: int) -> bytes:
    pairs = b"".join(
        part(1, part(1, b"%d" % n) + part(2, part(1, b"v"))) for n in range(size // 20)
    )
    return part(1, part(1, pairs) + part(2, _SMALL) * (size // 100))


def _one_bad(size: int) -> bytes:
    bad = make_span(name="~~~~").SerializeToString().replace(b"~~~~", b"\xff\xfe\xfd\xfc")
    return _group(part(2, bad)) + _honest(size)


def _honest(size: int) -> bytes:
    chance = random.Random(3)
    return _filled(
        b"".join(attempts_request("s", n, chance).SerializeToString() for n in range(20)), size
    )


def _honest_json(size: int) -> bytes:
    chance = random.Random(3)
    found = [json.loads(to_json(attempts_request("s", n, chance))) for n in range(20)]
    parts = [resource for body in found for resource in body["resourceSpans"]]
    return json.dumps({"resourceSpans": parts * max(size // len(json.dumps(parts)), 1)}).encode()


def _honest_logs(size: int) -> bytes:
    attributes: dict[str, object] = {"task.id": "t", "level": "info", "message": "x" * 80}
    return _filled(
        log_request(*(make_log(attributes=attributes) for _ in range(20))).SerializeToString(), size
    )


def _json(before: bytes, unit: bytes, after: bytes) -> Callable[[int], bytes]:
    """A JSON body of one list, of as many units as fit."""
    return lambda size: before + b",".join([unit] * (size // (len(unit) + 1))) + after


def _json_spans(unit: bytes) -> Callable[[int], bytes]:
    return _json(b'{"resourceSpans":[{"scopeSpans":[{"spans":[', unit, b"]}]}]}")


def _json_span(more: bytes, unit: bytes, end: bytes) -> Callable[[int], bytes]:
    head, _, tail = (_JSON % b"~").partition(b"~")
    return _json(
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + head + more, unit, end + tail + b"]}]}]}"
    )


def _protobuf() -> dict[str, Shape]:
    makers: dict[str, Callable[[int], bytes]] = {
        "unknown fields of a span": _in_span(b"\x7a\x00"),
        "unknown fields of a request": lambda size: _filled(b"\xf8\x07\x01", size),
        "unknown groups": _in_span(b"\xfb\x07\xfc\x07"),
        "repeated names": _in_span(part(5, b"ab")),
        "repeated status": _in_span(part(15, b"\x18\x01")),
        "repeated resources": lambda size: part(1, _filled(part(1, b""), size) + part(2, _SMALL)),
        "one key again and again": _in_span(part(9, part(1, b"k") + part(2, b"\x18\x01"))),
        "nested arrays": _in_span(_nested(5, 90)),
        "nested maps": _in_span(_nested(6, 15)),
        "small spans": _as_spans(_SMALL),
        "300 attributes each": _as_spans(part(2, _SPAN + _attributes(300))),
        "300 attributes each, one too deep": _as_spans(
            part(2, _SPAN + _attributes(300) + _nested(5, 20))
        ),
        "300 attributes a resource": lambda size: _filled(
            part(1, part(1, _attributes(300, 1)) + part(2, part(2, _SPAN))), size
        ),
        "300 events each": _as_spans(part(2, _SPAN + part(11, part(2, b"e")) * 300)),
        "300 links each": _as_spans(part(2, _SPAN + part(13, b"") * 300)),
        "bad spans of 300 attributes": _as_spans(part(2, part(1, b"a") + _attributes(300))),
        "a resource of many scopes": _resource_of_scopes,
        "small spans with an unknown field": _as_spans(
            part(2, make_span().SerializeToString() + b"\xf8\x07\x01")
        ),
        "small spans that must be merged": _as_spans(part(2, _SPAN + part(15, b"") * 2)),
        "empty spans": _as_spans(b"\x12\x00"),
        "spans of no sense": _as_spans(part(2, b"\x0f")),
        "empty attributes": _in_span(b"\x4a\x00"),
        "empty events": _in_span(b"\x5a\x00"),
        "empty links": _in_span(b"\x6a\x00"),
        "empty resources": lambda size: _filled(b"\x0a\x00", size),
        "empty scopes": lambda size: part(1, _filled(b"\x12\x00", size)),
        "a scope for each span": lambda size: part(1, _filled(part(2, _SMALL), size)),
        "a large resource for all": _large_resource,
        "one bad text among many spans": _one_bad,
        "one long key again and again": _in_span(
            part(9, part(1, b"k" * 200) + part(2, b"\x18\x01"))
        ),
        "very many keys": lambda size: _group(part(2, _SPAN + _attributes(size // 14))),
        "events with an attribute": _as_spans(
            part(2, _SPAN + part(11, part(3, part(1, b"k") + part(2, b"\x18\x01"))) * 256)
        ),
        "links with an attribute": _as_spans(
            part(2, _SPAN + part(13, part(4, part(1, b"k") + part(2, b"\x18\x01"))) * 256)
        ),
        "small maps": _in_span(
            part(9, part(2, part(5, part(1, part(6, part(1, part(1, b"a")))) * 40)))
        ),
        "a map of very many keys": lambda size: _group(
            part(2, _SPAN + part(9, part(2, part(6, _attributes(size // 14, 1)))))
        ),
        "deep values": _as_spans(part(2, _SPAN + _nested(5, 40) * 50)),
        "strings over the limit": _as_spans(
            part(2, _SPAN + part(9, part(1, b"k") + part(2, part(1, "é".encode() * 40_000))))
        ),
        "wrong wire types": _in_span(b"\x48\x01\x58\x01\x68\x01"),
        "entities of a resource": lambda size: part(
            1, part(1, _filled(part(3, b""), size)) + part(2, part(2, _SPAN))
        ),
        "a large array": lambda size: _group(
            part(2, _SPAN + part(9, part(2, part(5, _filled(part(1, b"\x18\x01"), size)))))
        ),
    }
    return {name: Shape(make, decode_traces, "honest spans") for name, make in makers.items()}


def _of_json() -> dict[str, Shape]:
    makers: dict[str, Callable[[int], bytes]] = {
        "JSON: empty spans": _json_spans(b"{}"),
        "JSON: bad ids": _json_spans(b'{"traceId":"zz"}'),
        "JSON: bad spans": _json_spans(_JSON % b',"kind":{}'),
        "JSON: numbers for spans": _json_spans(b"1"),
        "JSON: snake_case": _json_span(b",", b'"flags":1,"trace_state":""', b""),
        "JSON: unknown fields": _json_span(b",", b'"a":1', b""),
        "JSON: empty attributes": _json_span(b',"attributes":[', b"{}", b"]"),
        "JSON: 300 attributes each": _json_spans(
            _JSON % (b',"attributes":[%b]' % b",".join(b'{"key":"%d"}' % n for n in range(300)))
        ),
        "JSON: 250 events each": _json_spans(
            _JSON % (b',"events":[%b]' % b",".join([b'{"name":"e"}'] * 250))
        ),
        "JSON: half a character": _json_spans(_JSON % b',"name":"\\ud83d\\ude00\\ud800"'),
        "JSON: escapes": _json_span(b',"name":"', b"\\u0041\\n", b'"'),
        "JSON: events with an attribute": _json_spans(
            _JSON % (b',"events":[%b]' % b",".join([b'{"attributes":[{"key":"a"}]}'] * 250))
        ),
        "JSON: links": _json_spans(_JSON % (b',"links":[%b]' % b",".join([b"{}"] * 250))),
        "JSON: integers as text": _json_span(
            b',"attributes":[{"key":"k","value":{"arrayValue":{"values":[',
            b'{"intValue":"1"}',
            b"]}}}]",
        ),
        "JSON: a map of maps": _json_span(
            b',"attributes":[',
            b'{"key":"a","value":{"kvlistValue":{"values":[{"key":"b"}]}}}',
            b"]",
        ),
        "JSON: bytes": _json_span(
            b',"attributes":[{"key":"k","value":{"arrayValue":{"values":[',
            b'{"bytesValue":"AA=="}',
            b"]}}}]",
        ),
    }
    return {name: Shape(make, decode_traces_json, "honest JSON") for name, make in makers.items()}


_PACK: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": lambda plain: gzip.compress(plain, 1),
    "deflate": lambda plain: zlib.compress(plain, 1),
    "zstd": zstandard.ZstdCompressor().compress,
}
_INFLATED_BYTES: Final = 4_500_000
"""The bound of bodies here once they are decompressed."""


def _compressed() -> dict[str, Shape]:
    """Bodies that decompress to hostile ones, to more than the bound, or to nothing, in parts."""
    found: dict[str, Shape] = {}
    for coding, pack in _PACK.items():
        makers = {
            "empty spans": lambda size, pack=pack: pack(_as_spans(b"\x12\x00")(size)),
            "small spans": lambda size, pack=pack: pack(_as_spans(_SMALL)(size)),
            "unknown fields of a span": lambda size, pack=pack: pack(_in_span(b"\x7a\x00")(size)),
            "over the bound": lambda size, pack=pack: pack(bytes(4 * _INFLATED_BYTES + size)),
            "torn": lambda size, pack=pack: pack(_honest(size))[:-9],
            "empty parts": lambda size, pack=pack: _filled(pack(b""), size),
            "parts of one byte": lambda size, pack=pack: _filled(pack(b"\x0a"), size),
        }
        for name, make in makers.items():
            found[f"{coding}: {name}"] = Shape(make, _inflating(coding), "honest spans", True)
    return found


def _inflating(coding: str) -> Decode:
    return lambda body, limits: decode_traces(decompress(coding, body, _INFLATED_BYTES), limits)


HONEST: Final = {
    "honest spans": Shape(_honest, decode_traces, "honest spans"),
    "honest JSON": Shape(_honest_json, decode_traces_json, "honest JSON"),
    "honest logs": Shape(_honest_logs, decode_logs, "honest logs"),
}
SHAPES: Final = (
    _protobuf()
    | _of_json()
    | _compressed()
    | {
        "logs: 300 attributes each": Shape(
            _as_spans(part(2, _attributes(300, 6))), decode_logs, "honest logs"
        ),
        "logs: empty records": Shape(_as_spans(b"\x12\x00"), decode_logs, "honest logs"),
        "logs: tiny records": Shape(
            _as_spans(part(2, _TIMED + part(5, part(1, b"a" * 7)))), decode_logs, "honest logs"
        ),
        "logs: tiny attributes": Shape(
            _as_spans(part(2, _TIMED + _attributes(1, 1))), decode_logs, "honest logs"
        ),
        "logs: deep bodies": Shape(
            _as_spans(part(2, _nested(5, 16)[2:])), decode_logs, "honest logs"
        ),
        "logs: a large body": Shape(
            lambda size: _group(part(2, part(5, part(5, _filled(part(1, b"\x18\x01"), size))))),
            decode_logs,
            "honest logs",
        ),
        "logs: maps for bodies": Shape(
            _as_spans(part(2, part(5, part(6, _attributes(200, 1))))), decode_logs, "honest logs"
        ),
        "logs: no content": Shape(_as_spans(part(2, b"\x10\x01")), decode_logs, "honest logs"),
        "metrics: empty": Shape(_as_spans(b"\x12\x00"), _metrics, "honest spans"),
        "metrics: points": Shape(
            _as_spans(part(2, part(5, part(1, b"") * 300))), _metrics, "honest spans"
        ),
        "metrics: small": Shape(_as_spans(part(2, part(1, b"a"))), _metrics, "honest spans"),
        "logs: empty attributes": Shape(
            lambda size: _group(part(2, _filled(b"\x32\x00", size))), decode_logs, "honest logs"
        ),
    }
)

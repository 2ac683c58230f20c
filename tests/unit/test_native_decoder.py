"""The native decoder gives the reference's bytes, with the reference's help where it must.

Skipped where the package was built without a C compiler; `.ci/run` builds it.
"""

import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from events import names
from events.errors import Rejected
from service.otlp.decode import decoder, protobuf
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.limits import Limits
from tests.native_modules import required
from tests.otlp import make_span, part
from tests.thorough import examples

native = required("service.otlp.decode._native")

LIMITS = Limits(max_string_bytes=200, max_attributes=6, max_span_events=3, max_links=2)


def _native(body: bytes) -> Any:
    return native.decode_traces(
        body,
        LIMITS.max_string_bytes,
        LIMITS.max_attributes,
        LIMITS.max_span_events,
        LIMITS.max_links,
        *decoder.kept_words(LIMITS.kept),
        bytes(16),
    )


def _same(body: bytes) -> None:
    """Both decoders make the same of `body`."""
    try:
        expected: Any = protobuf.decode_traces(body, LIMITS)
    except Rejected as exc:
        expected = type(exc)
    try:
        found: Any = decoder.decode_traces(body, LIMITS)
    except Rejected as exc:
        found = type(exc)
    if isinstance(expected, type) or isinstance(found, type):
        assert found == expected
        return
    assert _comparable(found) == _comparable(expected)
    assert (found.accepted, found.refused, found.cut) == (
        expected.accepted, expected.refused, expected.cut,
    )  # fmt: skip
    for group, reference in zip(found.groups, expected.groups, strict=True):
        assert group.keyed or not reference.keyed  # the native one may take another's key


def _comparable(decoded: Decoded) -> list[tuple[object, ...]]:
    """A reference result in the native form; empty strings of the text do not matter."""
    return [
        (g.context, g.rows, _words(g.text, g.text_ends), g.time_min_ns, g.time_max_ns)
        for g in decoded.groups
    ]


def _words(text: bytes, ends: list[int]) -> list[list[bytes]]:
    starts = [0, *ends][:-1]
    return [[w for w in text[a:b].split(b"\0") if w] for a, b in zip(starts, ends, strict=True)]


texts = st.one_of(  # some of them likely to be said twice
    st.text(st.characters(codec="utf-8"), max_size=60), st.sampled_from(("boom", "om", "bo\0om"))
)
keys = st.one_of(st.text("abcdefgh.é", min_size=0, max_size=5), st.just(names.TASK_IDEMPOTENCY_KEY))
scalars = st.one_of(
    texts.map(lambda s: AnyValue(string_value=s)),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: AnyValue(int_value=n)),
    st.floats(allow_nan=False).map(lambda x: AnyValue(double_value=x)),
    st.booleans().map(lambda b: AnyValue(bool_value=b)),
    st.binary(max_size=40).map(lambda b: AnyValue(bytes_value=b)),
    st.just(AnyValue()),
)


def _pairs(values: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[list[KeyValue]]:
    pair = st.builds(lambda k, v: KeyValue(key=k, value=v), keys, values)
    return st.lists(pair, max_size=7)


values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda v: AnyValue(array_value=ArrayValue(values=v))),
        _pairs(inner).map(lambda v: AnyValue(kvlist_value=KeyValueList(values=v))),
    ),
    max_leaves=6,
)
attributes = _pairs(values)
times = st.sampled_from([0, 1, 1_795_249_360_059_676_409, 2**63 - 1, 2**63, 2**64 - 1])
counts = st.sampled_from([0, 1, 2**32 - 1])
span_events = st.builds(
    Span.Event, time_unix_nano=times, name=texts, attributes=attributes,
    dropped_attributes_count=counts,
)  # fmt: skip
links = st.builds(
    Span.Link, trace_id=st.sampled_from([bytes(16), b"t" * 16, b"t"]),
    span_id=st.sampled_from([b"s" * 8, b""]), trace_state=texts, attributes=attributes,
    dropped_attributes_count=counts, flags=counts,
)  # fmt: skip
spans = st.builds(
    Span,
    trace_id=st.sampled_from([b"t" * 16, b"u" * 16, bytes(16), b"short"]),
    span_id=st.sampled_from([b"s" * 8, bytes(8), b"s"]),
    parent_span_id=st.sampled_from([b"", b"p" * 8, bytes(8), b"p"]),
    trace_state=texts,
    name=texts,
    kind=st.integers(0, 6),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attributes,
    dropped_attributes_count=counts,
    events=st.lists(span_events, max_size=4),
    dropped_events_count=counts,
    links=st.lists(links, max_size=3),
    dropped_links_count=counts,
    status=st.builds(Status, message=texts, code=st.integers(0, 3)),
    flags=counts,
)
requests = st.builds(
    lambda groups: ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(scope_spans=[ScopeSpans(spans=spans)], schema_url=url)
            for spans, url in groups
        ]
    ),
    st.lists(st.tuples(st.lists(spans, max_size=3), texts), max_size=3),
)
plain = ExportTraceServiceRequest(
    resource_spans=[
        ResourceSpans(
            scope_spans=[
                ScopeSpans(
                    spans=[
                        Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="n", kind=5,
                             start_time_unix_nano=5, end_time_unix_nano=2**40,
                             attributes=[KeyValue(key="é", value=AnyValue(int_value=-129))],
                             events=[Span.Event(name="e", time_unix_nano=1)],
                             status=Status(code=2, message="boom"))
                    ]
                )
            ]
        )
    ]
)  # fmt: skip


@settings(max_examples=examples(150), deadline=None)
@example(plain)
@given(requests)
def test_it_equals_the_reference(request: ExportTraceServiceRequest) -> None:
    """For any request the groups, counts and cuts are the reference's."""
    _same(request.SerializeToString())


def test_an_ordinary_request_is_not_left_to_the_reference() -> None:
    """The common case takes the fast path."""
    groups, resources, unread = _native(plain.SerializeToString())
    assert (len(groups), resources, unread) == (1, [None], 0)
    assert not groups[0][7]
    assert _native(b"") == ([], [], 0)


UNKNOWN = [
    b"\xf8\x07\x01", b"\xfa\x07\x03abc", b"\xfd\x07abcd", b"\xf9\x07abcdefgh",
    b"\xfb\x07\x08\x01\x13\x14\xfc\x07",  # groups, one in another
]  # fmt: skip
SPAN = plain.resource_spans[0].scope_spans[0].spans[0].SerializeToString()


def _span(more: bytes) -> bytes:
    return part(1, part(2, part(2, SPAN + more)))


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_fields_are_passed_over(unknown: bytes) -> None:
    """On every level, without the reference."""
    for body in (
        unknown + part(1, part(2, part(2, SPAN))),
        part(1, unknown + part(2, part(2, SPAN))),
        part(1, part(2, unknown + part(2, SPAN))),
        _span(unknown),
        _span(part(9, part(1, b"k") + unknown + part(2, unknown + b"\x18\x01" + unknown))),
        _span(part(11, unknown) + part(13, unknown) + part(15, unknown + b"\x18\x02")[:0]),
        part(1, part(1, unknown) + part(2, part(1, unknown) + part(2, SPAN))),
    ):
        assert not _native(body)[0][0][7]
        _same(body)


@pytest.mark.parametrize(
    "more",
    [
        b"\x30\x02\x30\x03",  # two kinds
        b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # kind -1
        b"\x50\xff\xff\xff\xff\xff\x01",  # a dropped count of more than 32 bits
        part(5, b"again"),
        part(15, b"\x18\x01"),
        part(9, part(1, b"k") + part(1, b"l") + part(2, b"\x18\x01")),
        part(9, part(1, b"k") + part(2, b"\x18\x01") + part(2, part(1, b"x"))),
        part(9, part(1, b"k") + part(2, b"\x18\x01\x10\x01")),
        part(9, part(1, b"k") + part(2, part(5, b"") + part(5, part(1, b"\x18\x01")))),
        part(9, part(1, b"k") + part(2, part(1, b"\xff") + b"\x18\x01")),
        part(9, part(1, b"k") + part(2, part(1, b"\xff"))) + part(9, part(1, b"k")),
        part(9, part(1, b"k")) * 3 + part(9, part(1, b"l")) * 9,
        part(22, b"a") + part(9, part(1, b"k") + part(2, part(1, b"v" * 900))),
        part(11, b"\x09" + b"\xff" * 8),
        part(13, part(1, b"")) + part(13, part(1, b"abc")),
        part(9, part(1, b"k") + part(2, part(1, b"v") + b"\x40\x07")),
        b"\x0a",
        b"\xfb\x07",
    ],
)
def test_repeated_and_odd_fields(more: bytes) -> None:
    """Of what comes again the last one counts, and messages are merged."""
    for extra in (b"", part(2, SPAN)):
        _same(part(1, part(2, extra + part(2, SPAN + more) + extra)))


def test_surplus_is_cut_without_the_reference() -> None:
    """Attributes, events and links beyond the limits; what tells the outcome is kept."""
    number = b"\x18\x01"
    keys = (b"a", b"b", b"c", b"d", b"e", b"error.x", b"task.id", b"f", b"a")
    pairs = b"".join(part(9, part(1, key) + part(2, number)) for key in keys)
    named = [part(11, part(2, name)) for name in (b"x", b"exception", b"y", b"exception", b"z")]
    for more in (pairs, b"".join(named), b"".join(named) + named[1] * 3, part(13, b"") * 4):
        found = _native(_span(more))[0][0]
        assert not found[7]
        assert sum(found[13]) > 0
        _same(_span(more))
    bad_event = part(11, b"\x09" + b"\xff" * 8)
    for more in (bad_event * 2 + named[1] * 3, part(13, b"") * 2 + part(13, part(1, b"abc"))):
        _same(_span(more))
    _same(part(1, part(1, pairs.replace(b"\x4a", b"\x0a")) + part(2, part(2, SPAN))))


def _number(key: bytes, number: int = 9) -> bytes:
    return part(number, part(1, key) + part(2, b"\x18\x01"))


def _levels(count: int, number: int, end: bytes) -> bytes:
    """An attribute of `count` arrays or maps, one in another, around the value `end`."""
    for _ in range(count):
        end = part(number, part(1, end if number == 5 else part(1, b"k") + part(2, end)))
    return part(9, part(1, b"deep") + part(2, end))


BARE = make_span(trace_state="", name="").SerializeToString()
CHARACTERS = "é" * 150  # their cut falls on a character's middle
TEXT = part(1, CHARACTERS.encode())


@pytest.mark.parametrize(
    ("more", "is_cut"),
    [
        (b"".join(_number(b"%d" % n) for n in range(3_000)), True),
        (b"".join(_number(b"%d" % (n % 40)) for n in range(3_000)), True),
        (b"".join(_number(b"task.%d" % (n % 7)) for n in range(3_000)), True),
        (part(9, part(1, b"m") + part(2, part(6, _number(b"a", 1) * 3 + _number(b"b", 1) * 9))), 1),
        (_levels(16, 5, b"\x18\x01"), False),
        (_levels(17, 5, b"\x18\x01"), True),
        (_levels(17, 6, b"\x18\x01"), True),
        (_levels(16, 5, part(5, part(1, TEXT)) ), True),
        (_levels(17, 5, part(1, b"\xff")), None),
        (_levels(16, 6, part(6, part(1, part(1, b"\xff")))), None),
        (_levels(17, 5, b"\x18\x01") * 2, True),
        (_levels(17, 5, b"\x18\x01") * 7, True),
        (_levels(38, 5, b"\x18\x01"), True),
        (part(3, CHARACTERS.encode()), True),
        (part(9, part(1, b"k") + part(2, TEXT)) + part(9, part(1, b"k") + part(2, TEXT)), True),
        (part(9, part(1, b"k") + part(2, TEXT)) + _number(b"k"), False),
        (part(9, part(1, b"k") + part(2, part(7, b"\xff" * 201))), True),
        (part(11, part(2, CHARACTERS.encode())) + part(13, part(3, CHARACTERS.encode())), True),
        (part(15, part(2, CHARACTERS.encode())), True),
    ],
)  # fmt: skip
def test_what_is_over_a_limit_is_cut_without_the_reference(
    more: bytes, is_cut: bool | None
) -> None:
    """In number, depth and length; the reference sees only what breaks a rule."""
    body = part(1, part(2, part(2, BARE + more)))
    found = _native(body)[0][0]
    assert bool(found[7]) == (is_cut is None)
    assert any(found[13]) == bool(is_cut)
    _same(body)


def test_what_is_over_a_limit_is_cut_in_resources_too() -> None:
    """And entities are read, without the reference."""
    pairs = b"".join(_number(b"%d" % n, 1) for n in range(9)) + part(
        1, part(1, b"1") + part(2, TEXT)
    )
    entity = part(
        3, part(1, b"url") + part(2, b"host") + part(3, b"a") + part(4, b"b") + part(3, b"c")
    )
    resource, scope = pairs + entity * 2 + part(3, b""), part(1, CHARACTERS.encode())
    body = part(
        1,
        part(1, resource) + part(3, CHARACTERS.encode()) + part(2, part(1, scope) + part(2, SPAN)),
    )
    assert _native(body)[0][0][0] is not None
    _same(body)
    for bad in (
        part(3, part(3, b"\xff")),
        part(3, part(1, b"\xff") + part(1, b"")),
        part(3, b"\x0a"),
    ):
        _same(part(1, part(1, resource + bad) + part(2, part(2, SPAN))))


def test_keys_are_found_whatever_their_hashes() -> None:
    """The hashes depend on a seed, the result does not."""
    body = _span(b"".join(_number(b"%d" % (n * n % 613)) for n in range(2_000)))
    made = [
        native.decode_traces(body, 99, 700, 9, 9, b"", b"", b"", bytes([n]) * 16)[0]
        for n in range(9)
    ]
    assert all(groups == made[0] for groups in made)
    assert made[0][0][13] == (0, 0, 0, 0, 0)


def test_one_span_of_very_many_parts_is_cut_not_refused() -> None:
    """A long stream of events, links or attributes stays one span, whatever its size."""
    event = part(11, part(2, b"chunk") + part(3, part(1, b"n") + part(2, b"\x18\x01")) * 3)
    numbers = b"".join(_number(b"%d" % n) for n in range(100_000))
    for more in (event * 100_000, part(13, b"") * 100_000, numbers):
        decoded = decoder.decode_traces(_span(more), Limits())
        assert (decoded.accepted, decoded.refused) == (1, 0)


def test_settings_that_cut_much_refuse_nothing() -> None:
    """Small limits, and a request in which every span is over all of them."""
    small = Limits(max_string_bytes=20, max_attributes=2, max_span_events=1, max_links=1)
    span = SPAN + part(5, b"x" * 30)[:0] + _levels(20, 5, b"\x18\x01") + _number(b"a") * 2
    body = part(1, part(2, part(2, span + part(9, part(1, b"b") + part(2, TEXT))) * 512))
    decoded = decoder.decode_traces(body, small)
    assert (decoded.accepted, decoded.refused) == (512, 0)
    assert decoded.cut == protobuf.decode_traces(body, small).cut


def test_messages_that_come_again_are_merged() -> None:
    """Resources and scopes too."""
    resources = [
        part(1, part(1, part(1, b"a") + part(2, part(1, b"1")))),
        part(1, part(1, part(1, b"b") + part(2, part(1, b"2"))) + b"\x10\x05"),
    ]
    scopes = [part(1, part(1, b"old")), part(1, part(2, b"v1"))]
    body = b"".join(resources) + part(2, b"".join(scopes) + part(2, SPAN)) + part(3, b"u")
    assert _native(part(1, body))[0][0][0] is not None
    _same(part(1, body))
    _same(part(1, body + part(1, part(3, part(2, b"entity"))) + part(3, b"v")))
    _same(part(1, body + part(1, part(1, part(1, b"\xff")))))
    _same(
        part(1, b"".join(resources) + part(2, b"".join(scopes) + part(2, SPAN) + part(2, b"\x0f")))
    )


def test_refused_spans_are_counted_after_the_first() -> None:
    """All are refused, the first by name, and what is good beside them is kept."""
    bad = part(2, SPAN.replace(b"t" * 16, bytes(16))) + part(2, b"\x0f") + part(2, b"")
    body = part(1, part(2, (part(2, SPAN) + bad) * 1000))
    decoded = decoder.decode_traces(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (1000, 3000)
    assert "all zero" in decoded.reasons[0]


def test_a_swarm_of_nothing_is_refused_as_spans() -> None:
    """Nobody looks for another signal in more events than the body has room for."""
    retyped = b"\x09\x00\x40\x5b\x36\xce\xeb\x79\x18"
    _same(part(1, part(2, part(1, b"") + part(2, retyped) + part(2, part(5, part(1, b"hello"))))))
    for count in (1, 2, 9):
        _same(part(1, part(2, part(2, part(5, part(1, b"hello"))) * count)))


@settings(max_examples=examples(150), deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_torn_and_altered_bytes_never_harm(noise: bytes, seed: int) -> None:
    """Mutations of a good request are decoded as the reference decodes them."""
    chance = random.Random(seed)
    body = bytearray(plain.SerializeToString())
    for _ in range(chance.randrange(4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    _same(
        bytes(body[: chance.randrange(len(body) + 1)] + (noise if chance.random() < 0.3 else b""))
    )

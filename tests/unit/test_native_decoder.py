"""The native decoder gives the reference's bytes, or nothing.

Skipped where the package was built without a C compiler; `.ci/run` builds it.
"""

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from events import names
from events.errors import Rejected
from service.otlp.decode import protobuf
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.limits import Limits

native = pytest.importorskip("service.otlp.decode._native")

LIMITS = Limits(max_string_bytes=200, max_attributes=6, max_span_events=3, max_links=2)


def _native(body: bytes) -> list[tuple[object, ...]] | None:
    found: list[tuple[object, ...]] | None = native.decode_traces(
        body,
        LIMITS.max_string_bytes,
        LIMITS.max_attributes,
        LIMITS.max_span_events,
        LIMITS.max_links,
    )
    return found


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


@settings(max_examples=150, deadline=None)
@example(plain)
@given(requests)
def test_it_equals_the_reference_or_declines(request: ExportTraceServiceRequest) -> None:
    """For any request the native groups are the reference's, or there are none."""
    body = request.SerializeToString()
    found = _native(body)
    if found is None:
        return
    expected = protobuf.decode_traces(body, LIMITS)
    assert expected.refused == 0
    assert not expected.cut
    assert [(g[0], g[1], _words(g[2], g[3]), g[4], g[5]) for g in found] == _comparable(expected)  # type: ignore[arg-type]
    for group, reference in zip(found, expected.groups, strict=True):
        assert group[6] or not reference.keyed  # the native one may take another's key for a span's


def test_an_ordinary_request_is_not_declined() -> None:
    """The common case takes the fast path."""
    assert _native(plain.SerializeToString()) is not None
    assert _native(b"") == []


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_torn_and_altered_bytes_never_harm(noise: bytes, seed: int) -> None:
    """Mutations of a good request are declined or decoded as the reference decodes them."""
    chance = random.Random(seed)
    body = bytearray(plain.SerializeToString())
    for _ in range(chance.randrange(4)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    body = body[: chance.randrange(len(body) + 1)] + (noise if chance.random() < 0.3 else b"")
    found = _native(bytes(body))
    if found is None:
        return
    try:
        expected = protobuf.decode_traces(bytes(body), LIMITS)
    except Rejected as exc:
        pytest.fail(f"native accepted what the reference refuses: {exc}")
    assert [(g[0], g[1]) for g in found] == [(g.context, g.rows) for g in expected.groups]

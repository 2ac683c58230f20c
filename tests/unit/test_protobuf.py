"""OTLP/protobuf: everything is kept, bad events are refused alone, torn bytes never harm."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, EntityRef, InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from events import codec
from events.errors import Rejected
from events.schema import Attributes, LogRecord, Span
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.limits import Limits, log_strings, span_strings
from service.otlp.decode.protobuf import decode_logs, decode_traces
from service.otlp.scrub.secret_keys import MARK, names_secret
from tests import otlp
from tests.thorough import examples

LIMITS = Limits()


def _events(decoded: Any) -> list[Any]:
    return [codec.decode_event(row) for group in decoded.groups for row in group.rows]


def _pairs(attributes: Attributes) -> list[Any]:
    return [trace_pb2.Span(attributes=[{"key": k, "value": _any(v)}]).attributes[0]
            for k, v in attributes.items()]  # fmt: skip


def _any(value: Any) -> AnyValue:
    if value is None:
        return AnyValue()
    if isinstance(value, list):
        return AnyValue(array_value={"values": [_any(item) for item in value]})
    if isinstance(value, dict):
        return AnyValue(kvlist_value={"values": _pairs(value)})
    kinds = {str: "string", bool: "bool", int: "int", float: "double", bytes: "bytes"}
    return AnyValue(**{f"{kinds[type(value)]}_value": value})


def _message(span: Span) -> trace_pb2.Span:
    """`span` back as OTLP."""
    return trace_pb2.Span(
        trace_id=span.trace_id, span_id=span.span_id, parent_span_id=span.parent_span_id,
        trace_state=span.trace_state, flags=span.flags, name=span.name, kind=span.kind,
        start_time_unix_nano=span.start_ns, end_time_unix_nano=span.end_ns,
        attributes=_pairs(span.attributes),
        dropped_attributes_count=span.dropped_attributes_count,
        events=[
            trace_pb2.Span.Event(
                time_unix_nano=event.time_ns, name=event.name,
                attributes=_pairs(event.attributes),
                dropped_attributes_count=event.dropped_attributes_count,
            )
            for event in span.events
        ],
        dropped_events_count=span.dropped_events_count,
        links=[
            trace_pb2.Span.Link(
                trace_id=link.trace_id, span_id=link.span_id, trace_state=link.trace_state,
                attributes=_pairs(link.attributes),
                dropped_attributes_count=link.dropped_attributes_count, flags=link.flags,
            )
            for link in span.links
        ],
        dropped_links_count=span.dropped_links_count,
        status={"message": span.status_message, "code": span.status_code},
    )  # fmt: skip


def _normal(span: trace_pb2.Span) -> trace_pb2.Span:
    """`span` as it is after a repeated key took the last value at the first one's place."""
    return _message(_events(decode_traces(otlp.traces(span).SerializeToString(), LIMITS))[0])


def _has_repeats(span: trace_pb2.Span) -> bool:
    return any(
        len({pair.key for pair in pairs}) != len(pairs)
        for pairs in [span.attributes, *(p.attributes for p in (*span.events, *span.links))]
    )


@settings(max_examples=examples(150), deadline=None)
@given(otlp.spans)
def test_a_span_comes_back_as_it_was_sent(span: trace_pb2.Span) -> None:
    """A stored span, written as OTLP again, is the span that was sent."""
    span.status.SetInParent()
    back = _normal(span)
    if not _has_repeats(span) and "kvlist" not in str(span):
        assert back.SerializeToString(deterministic=True) == span.SerializeToString(
            deterministic=True
        )
    assert _normal(back) == back or "nan" in str(back)


def _pieces(strings: list[str]) -> set[str]:
    return {piece for text in strings for piece in text.split("\0")}


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(otlp.spans, max_size=4))
def test_the_text_holds_every_scrubbable_string(spans: list[trace_pb2.Span]) -> None:
    """The joined text of a group is each row's strings in order, each followed by NUL.

    A status message that stands there already is left out.
    """
    decoded = decode_traces(otlp.traces(*spans).SerializeToString(), LIMITS)
    assert decoded.accepted == len(spans)
    for group in decoded.groups:
        texts = []
        for span in map(codec.decode_event, group.rows):
            strings = span_strings(span)
            if span.status_message and span.status_message in _pieces(strings[:-1]):
                strings.pop()
            strings += [MARK] if names_secret(span) else []
            texts.append("".join(f"{text}\0" for text in strings).encode())
        if not any(_has_repeats(sent) or "kvlist" in str(sent) for sent in spans):
            assert group.text == b"".join(texts)
        assert group.text_ends[-1] == len(group.text)
        assert group.time_min_ns == min(span.start_time_unix_nano for span in spans)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(otlp.log_records, max_size=4))
def test_log_records_are_kept(records: list[Any]) -> None:
    """Each log record is stored with its body, ids and text."""
    decoded = decode_logs(otlp.logs(*records).SerializeToString(), LIMITS)
    assert (decoded.accepted, decoded.refused) == (len(records), 0)
    for record, event in zip(records, _events(decoded), strict=True):
        assert isinstance(event, LogRecord)
        assert event.time_ns == record.time_unix_nano
        assert event.event_name == record.event_name
    for group in decoded.groups:
        texts: list[str] = []
        for event in map(codec.decode_event, group.rows):
            texts += log_strings(event)
            texts += [MARK] if names_secret(event) else []
        assert group.text == "".join(f"{text}\0" for text in texts).encode()


BAD = [
    ({"trace_id": b"short"}, "trace_id has 5 bytes, not 16"),
    ({"trace_id": b""}, "trace_id has 0 bytes"),
    ({"trace_id": bytes(16)}, "trace_id is all zero"),
    ({"span_id": bytes(8)}, "span_id is all zero"),
    ({"span_id": bytes(9)}, "span_id has 9 bytes, not 8"),
    ({"parent_span_id": b"abc"}, "parent_span_id has 3 bytes"),
    ({"start_time_unix_nano": 0}, "start_time_unix_nano is missing"),
    ({"start_time_unix_nano": 2**63}, "start_time_unix_nano is out of range"),
    ({"end_time_unix_nano": 2**64 - 1}, "end_time_unix_nano is out of range"),
    ({"events": [trace_pb2.Span.Event(time_unix_nano=2**63)]}, "of an event is out of range"),
    ({"links": [trace_pb2.Span.Link(trace_id=b"x")]}, "of a link"),
]


@pytest.mark.parametrize(("change", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_a_bad_span_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    """The sender learns which span and which field; the other spans are kept."""
    body = otlp.traces(otlp.make_span(), otlp.make_span(name="bad", **change)).SerializeToString()
    decoded = decode_traces(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert reason in decoded.reasons[0]
    assert "'bad'" in decoded.reasons[0]


@pytest.mark.parametrize(
    "change",
    [
        {"end_time_unix_nano": 0},
        {"end_time_unix_nano": 1},
        {"start_time_unix_nano": 1},
        {"start_time_unix_nano": 7_258_118_400 * 10**9},
        {"parent_span_id": bytes(8)},
    ],
)
def test_an_odd_span_is_kept(change: dict[str, Any]) -> None:
    """End before start, no end, the years 1970 and 2200 and a zero parent are accepted."""
    decoded = decode_traces(otlp.traces(otlp.make_span(**change)).SerializeToString(), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 0)


def test_a_repeated_key_counts_as_dropped() -> None:
    """The last value stands at the first one's place; the other counts as dropped."""
    pairs = [otlp.pair("a", 1), otlp.pair("b", 2), otlp.pair("a", 3)]
    (span,) = _events(
        decode_traces(otlp.traces(otlp.make_span(attributes=pairs)).SerializeToString(), LIMITS)
    )
    assert list(span.attributes.items()) == [("a", 3), ("b", 2)]
    assert span.dropped_attributes_count == 1


def test_a_number_into_the_strings_of_profiles_is_no_value() -> None:
    """Spans have no such strings, so it says nothing (opentelemetry-proto, `AnyValue`)."""
    span = otlp.make_span(attributes=[]).SerializeToString()
    odd = span + otlp.part(9, otlp.part(1, b"k") + otlp.part(2, b"\x40\x07"))
    [kept] = _events(decode_traces(otlp.part(1, otlp.part(2, otlp.part(2, odd))), LIMITS))
    assert kept.attributes == {"k": None}


def test_the_resource_and_scope_are_kept() -> None:
    """Schema URLs, versions, counts and entity references reach the context."""
    request = otlp.traces(
        otlp.make_span(),
        resource=Resource(
            attributes=[otlp.pair("host.name", "a")],
            dropped_attributes_count=2,
            entity_refs=[EntityRef(schema_url="u", type="host", id_keys=["host.name"])],
        ),
    )
    request.resource_spans[0].schema_url = "r"
    scope = request.resource_spans[0].scope_spans[0]
    scope.schema_url = "s"
    scope.scope.CopyFrom(InstrumentationScope(name="n", version="v", dropped_attributes_count=3))
    decoded = decode_traces(request.SerializeToString(), LIMITS)
    context = codec.decode_context(decoded.groups[0].context)
    assert context.resource_attributes == {"host.name": "a"}
    assert context.resource_entity_refs[0].id_keys == ["host.name"]
    assert (context.resource_schema_url, context.scope_schema_url) == ("r", "s")
    assert (context.scope_name, context.scope_version) == ("n", "v")
    assert context.resource_dropped_attributes_count == 2
    assert context.scope_dropped_attributes_count == 3


def test_identical_log_records_are_numbered() -> None:
    """They are distinct facts, so each gets a row of its own."""
    records = [otlp.make_log(), otlp.make_log(), otlp.make_log(body=AnyValue(int_value=1))]
    events = _events(decode_logs(otlp.logs(*records).SerializeToString(), LIMITS))
    assert [event.ordinal for event in events] == [0, 1, 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b"x"}, "trace_id has 1 bytes"),
        ({"span_id": b"x"}, "span_id has 1 bytes"),
        ({"time_unix_nano": 2**63}, "time_unix_nano is out of range"),
        ({"observed_time_unix_nano": 2**63}, "observed_time_unix_nano is out of range"),
    ],
)
def test_a_bad_log_record_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    """Ids of a wrong length and times of 2^63 and more are refused with the field's name."""
    decoded = decode_logs(
        otlp.logs(otlp.make_log(), otlp.make_log(**change)).SerializeToString(), LIMITS
    )
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert reason in decoded.reasons[0]


def test_logs_on_the_traces_endpoint_are_recognised() -> None:
    """The field numbers are the same, the meaning is not; the message says where to send them."""
    ids = {"trace_id": otlp.TRACE_ID, "span_id": otlp.SPAN_ID}
    for record in (otlp.make_log(), otlp.make_log(**ids), otlp.make_log(attributes={"a": "b"})):
        with pytest.raises(WrongSignal, match="/v1/logs"):
            decode_traces(otlp.logs(record).SerializeToString(), LIMITS)


def test_traces_on_the_logs_endpoint_are_recognised() -> None:
    """Spans sent as logs are refused, and the message says where to send them."""
    for span in (otlp.make_span(), otlp.make_span(attributes={"a": "b"}, name="")):
        with pytest.raises(WrongSignal, match="/v1/traces"):
            decode_logs(otlp.traces(span).SerializeToString(), LIMITS)


@pytest.mark.parametrize("decode", [decode_traces, decode_logs])
@pytest.mark.parametrize("kind", ["gauge", "sum", "histogram", "summary"])
def test_metrics_elsewhere_are_recognised(
    decode: Callable[[bytes, Limits], Decoded], kind: str
) -> None:
    """Metrics have the same field numbers too; the message says where to send them."""
    metric = Metric(name="queue.length", unit="1")
    getattr(metric, kind).data_points.add(time_unix_nano=5, start_time_unix_nano=4)
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.append(metric)
    with pytest.raises(WrongSignal, match="/v1/metrics"):
        decode(request.SerializeToString(), LIMITS)


def test_many_reasons_are_summed_up() -> None:
    """At most five distinct reasons are told, then how many more there were."""
    spans = [otlp.make_span(trace_id=bytes(length)) for length in range(1, 10)]
    decoded = decode_traces(otlp.traces(*spans, otlp.make_span()).SerializeToString(), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 9)
    assert len(decoded.reasons) == 6
    assert decoded.reasons[-1].startswith("4 more")


def test_an_empty_request_holds_nothing() -> None:
    """No bytes at all are a valid request without spans."""
    assert decode_traces(b"", LIMITS).groups == []


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(otlp.spans, min_size=1, max_size=3), st.data())
def test_torn_and_altered_bytes_never_harm(spans: list[trace_pb2.Span], data: Any) -> None:
    """Whatever the bytes, the answer is a decoded request or a rejection."""
    body = bytearray(otlp.traces(*spans).SerializeToString())
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    del body[data.draw(st.integers(0, len(body))) :]
    for decode in (decode_traces, decode_logs):
        try:
            decoded = decode(bytes(body), LIMITS)
        except Rejected:
            continue
        assert decoded.accepted == sum(len(group.rows) for group in decoded.groups)
        for event in _events(decoded):
            assert event.trace_id is not None

"""Limits: what is too large is cut, counted and named on the event."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from events import codec
from events.schema import Span
from service.configuration.settings import Settings
from service.otlp.decode.decoded import Decoded
from service.otlp.decode.limits import COUNT_LIMIT, MAX_DEPTH, Limits
from service.otlp.decode.protobuf import decode_logs, decode_traces
from tests import otlp

LIMITS = Limits(max_string_bytes=200, max_attributes=3, max_span_events=2, max_links=2)


def _decode(**changes: Any) -> tuple[Span, Decoded]:
    decoded = decode_traces(otlp.traces(otlp.make_span(**changes)).SerializeToString(), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 0)
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert isinstance(event, Span)
    return event, decoded


@given(st.text(st.characters(codec="utf-8"), max_size=300), st.integers(0, 250))
def test_a_string_is_cut_between_characters(text: str, limit: int) -> None:
    """What is left is valid UTF-8, a beginning of the text, and as long as may be."""
    left = Limits(max_string_bytes=limit).text(text, Counter())
    assert text.startswith(left)
    size = len(left.encode())
    assert size <= limit
    if left != text:
        assert size + len(text[len(left)].encode()) > limit


def test_long_strings_are_cut_and_recorded() -> None:
    """Names, messages, keys, strings and bytes are cut at the limit."""
    span, decoded = _decode(
        name="n" * 300,
        attributes={"k" * 300: "v" * 300, "b": AnyValue(bytes_value=b"x" * 300)},
        status={"message": "m" * 300},
        trace_state="t" * 300,
    )
    assert {len(span.name), len(span.status_message), len(span.trace_state)} == {200}
    assert span.attributes == {"k" * 200: "v" * 200, "b": b"x" * 200}
    assert span.cut == ("string",)
    assert decoded.cut == {"string": 6}
    assert b"v" * 201 not in decoded.groups[0].text


def test_surplus_attributes_are_dropped_and_counted() -> None:
    """The first ones stay; the dropped count grows by the rest."""
    attributes = {f"k{number}": number for number in range(100)}
    span, decoded = _decode(attributes=attributes, dropped_attributes_count=7)
    assert list(span.attributes) == ["k0", "k1", "k2"]
    assert span.dropped_attributes_count == 104
    assert span.cut == ("attribute",)
    assert decoded.cut == {"attribute": 97}


def test_surplus_events_and_links_are_dropped_and_counted() -> None:
    """So are those of events and links."""
    span, decoded = _decode(
        events=[SpanMessage.Event(name=f"e{n}") for n in range(5)],
        links=[SpanMessage.Link(trace_id=bytes(16), span_id=bytes(8))] * 4,
        dropped_events_count=COUNT_LIMIT,
    )
    assert [event.name for event in span.events] == ["e0", "e1"]
    assert (span.dropped_events_count, span.dropped_links_count) == (COUNT_LIMIT, 2)
    assert span.cut == ("event", "link")
    assert decoded.cut == {"event": 3, "link": 2}


def test_attributes_of_a_span_event_are_bounded() -> None:
    """The bound holds for every list of attributes."""
    pairs = [otlp.pair(f"k{n}", n) for n in range(80)]
    span, _ = _decode(events=[SpanMessage.Event(attributes=pairs)])
    assert len(span.events[0].attributes) == 3
    assert span.events[0].dropped_attributes_count == 77


def test_maps_inside_a_value_are_bounded() -> None:
    """A map may not hold more keys than a span may hold attributes."""
    pairs = [KeyValue(key=f"k{n}", value=AnyValue(int_value=n)) for n in range(9)]
    value = AnyValue(kvlist_value=KeyValueList(values=pairs))
    span, decoded = _decode(attributes={"m": value})
    assert span.attributes == {"m": {"k0": 0, "k1": 1, "k2": 2}}
    assert decoded.cut == {"attribute": 6}


def test_deep_values_become_nil() -> None:
    """Nesting deeper than the bound is cut off."""
    value = AnyValue(int_value=1)
    for _ in range(MAX_DEPTH + 3):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    span, decoded = _decode(attributes={"deep": value})
    depth = 0
    found = span.attributes["deep"]
    while found != [None]:
        (found,) = found
        depth += 1
    assert depth == MAX_DEPTH - 1
    assert decoded.cut == {"depth": 1}
    assert span.cut == ("depth",)


def test_a_resource_is_cut_too() -> None:
    """The context says so itself; the span under it is whole."""
    pairs = [otlp.pair(f"k{n}", "v" * 300) for n in range(5)]
    request = otlp.traces(otlp.make_span(), resource=Resource(attributes=pairs))
    decoded = decode_traces(request.SerializeToString(), LIMITS)
    context = codec.decode_context(decoded.groups[0].context)
    assert context.cut == ("attribute", "string")
    assert context.resource_dropped_attributes_count == 2
    assert codec.decode_event(decoded.groups[0].rows[0]).cut == ()


def test_log_records_are_cut() -> None:
    """Bodies and attributes of log records have the same bounds."""
    record = otlp.make_log(
        body=AnyValue(string_value="é" * 150), attributes={f"k{n}": n for n in range(5)}
    )
    decoded = decode_logs(otlp.logs(record).SerializeToString(), LIMITS)
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert event.body == "é" * 100
    assert event.dropped_attributes_count == 2
    assert event.cut == ("attribute", "string")


@pytest.mark.parametrize("size", [64 << 10, 10 << 20])
def test_huge_attributes_are_kept_up_to_the_limit(size: int) -> None:
    """An attribute of 10 MB leaves 64 KiB, and its span is kept."""
    body = otlp.traces(otlp.make_span(attributes={"k": "x" * size})).SerializeToString()
    decoded = decode_traces(body, Limits())
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert len(event.attributes["k"]) == 64 << 10
    assert event.cut == (("string",) if size > 64 << 10 else ())


def test_a_hundred_thousand_attributes_are_dropped() -> None:
    """They cost time in their own request only."""
    pairs = [otlp.pair(f"k{n}", n) for n in range(100_000)]
    body = otlp.traces(otlp.make_span(attributes=pairs)).SerializeToString()
    decoded = decode_traces(body, Limits())
    event = codec.decode_event(decoded.groups[0].rows[0])
    assert (len(event.attributes), event.dropped_attributes_count) == (256, 99_744)


def test_limits_come_from_the_settings(tmp_path: Any) -> None:
    """Each limit is a setting."""
    settings = Settings(
        data=tmp_path, max_string_bytes=1, max_attributes=2, max_span_events=3, max_links=4
    )
    assert Limits.of(settings) == Limits(1, 2, 3, 4)

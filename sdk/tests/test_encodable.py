"""Texts and numbers that OTLP cannot carry cost an attempt neither itself nor its message."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from spanledger_sdk import attempt
from spanledger_sdk.handover.encodable import encodable, fitting
from spanledger_sdk.handover.encode import bodies_of
from spanledger_sdk.lifecycle.record import Record
from spanledger_sdk.testing import capture

from .collector import attributes_of

TEXTS = st.text(st.characters(codec=None, min_codepoint=0x60, max_codepoint=0xE100), max_size=9)
VALUES = st.one_of(
    TEXTS, st.integers(-(1 << 70), 1 << 70), st.booleans(), st.floats(allow_nan=False),
    st.binary(max_size=5), st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=3),
)  # fmt: skip


class Text(str):
    """As a template's safe text is one."""


class Number(int):
    """As a member of an `IntEnum` is one."""


def decoded(data: bytes) -> Any:
    """The one span of a request."""
    request = ExportTraceServiceRequest.FromString(data)
    return request.resource_spans[0].scope_spans[0].spans[0]


@pytest.mark.parametrize("task_id", ["file a\udce9b", "plain"])
def test_a_name_that_is_no_utf8_arrives(task_id: str) -> None:
    """In the task's id, its name, and the message of the error, as `\\udce9`."""
    with capture() as seen, attempt(task_id, "1") as made:
        made.progress(0.5, "b\udce9")
        made.fail(LookupError("a\udce9b"))
    (body,) = bodies_of(seen.spans, [])
    span = decoded(body.data)
    said = attributes_of(span)
    assert span.name == said["task.id"] == task_id.replace("\udce9", "\\udce9")
    assert said["task.progress.message"] == "b\\udce9"
    assert attributes_of(span.events[0])["exception.message"] == "a\\udce9b"
    assert span.status.message.endswith("a\\udce9b")


def test_a_record_of_such_an_attempt_arrives() -> None:
    """Started, alive and ended say the same as the span."""
    with capture() as seen, attempt("a\udce9", "1") as made:
        made.set({"big": 1 << 70})
    record = Record("task.attempt.started", seen.spans[0], 1)
    (body,) = bodies_of([], [record])
    assert b"a\\udce9" in body.data
    assert str(1 << 70).encode() in body.data


@given(st.dictionaries(TEXTS.filter(bool), VALUES, max_size=4), TEXTS.filter(bool))
def test_every_attribute_is_encoded(said: dict[str, Any], name: str) -> None:
    """Of the span, its events and its links, as many as were set, whatever they hold."""
    provider = TracerProvider(shutdown_on_exit=False)
    context = SpanContext(1, 2, True, TraceFlags(1))
    span = provider.get_tracer("t").start_span(name, attributes=said, links=[Link(context, said)])
    span.add_event(name, said)
    span.set_status(Status(StatusCode.ERROR, name))
    span.end()
    found = decoded(encode_spans([encodable(span)]).SerializeToString())  # type: ignore[list-item]
    kept = len(span.attributes)  # type: ignore[attr-defined]
    assert [len(part.attributes) for part in (found, *found.events, *found.links)] == [kept] * 3
    assert found.name == found.status.message == found.events[0].name == fitting(name)


def test_a_copy_says_what_was_left_out_too() -> None:
    """How many events and links there were beyond the limits of OpenTelemetry."""
    limits = SpanLimits(max_events=2, max_links=1)
    tracer = TracerProvider(shutdown_on_exit=False, span_limits=limits).get_tracer("t")
    context = SpanContext(1, 2, True, TraceFlags(1))
    span = tracer.start_span("a\udce9", links=[Link(context)] * 3)
    for _ in range(5):
        span.add_event("b\udce9")
    span.end()
    found = decoded(encode_spans([encodable(span)]).SerializeToString())  # type: ignore[list-item]
    assert (len(found.events), found.dropped_events_count) == (2, 3)
    assert (len(found.links), found.dropped_links_count) == (1, 2)


def test_texts_and_numbers_of_own_kinds_stay_one_value() -> None:
    """A subclass of `str` is no list of its letters, and one of `int` may be as large as any."""
    assert fitting(Text("a\udce9")) == "a\\udce9"
    assert fitting([Number(1 << 70)]) == [str(1 << 70)]


def test_what_can_be_encoded_is_passed_on_as_it_is() -> None:
    """No copy is made of it."""
    with capture() as seen, attempt("päivä", "1", attributes={"n": -(1 << 63), "l": ["ä", 1.5]}):
        pass
    (span,) = seen.spans
    assert encodable(span) is span

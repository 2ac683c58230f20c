"""A body that does not parse as a whole is split, and only its bad events are refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from events import codec
from events.errors import BadInput
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_logs, decode_traces
from tests import otlp

LIMITS = Limits()
MARK = "~~~~"
NOT_UTF8 = b"\xff\xfe\xfd\xfc"


def _broken(body: bytes) -> bytes:
    assert MARK.encode() in body
    return body.replace(MARK.encode(), NOT_UTF8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_one_bad_string_refuses_one_span(bad: list[bool]) -> None:
    """Good spans of the same request are stored, in their order and with their context."""
    spans = [
        otlp.make_span(name=f"span {number}", attributes={"k": MARK if is_bad else "ok"})
        for number, is_bad in enumerate(bad)
    ]
    body = otlp.traces(*spans).SerializeToString()
    decoded = decode_traces(_broken(body) if any(bad) else body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (bad.count(False), bad.count(True))
    good = otlp.traces(*(span for span, is_bad in zip(spans, bad, strict=True) if not is_bad))
    assert decoded.groups == decode_traces(good.SerializeToString(), LIMITS).groups


def test_a_refused_span_is_named() -> None:
    """Its name and ids are read as far as they can be."""
    span = otlp.make_span(name="charge", attributes={"k": MARK})
    decoded = decode_traces(_broken(otlp.traces(span).SerializeToString()), LIMITS)
    assert "'charge'" in decoded.reasons[0]
    assert otlp.TRACE_ID.hex() in decoded.reasons[0]
    assert "UTF-8" in decoded.reasons[0]


def test_a_bad_name_is_shown_as_far_as_it_reads() -> None:
    """Bytes that are no text do not hide which span it was."""
    decoded = decode_traces(
        _broken(otlp.traces(otlp.make_span(name=f"pay {MARK}")).SerializeToString()), LIMITS
    )
    assert decoded.refused == 1
    assert "pay" in decoded.reasons[0]


def test_a_bad_resource_refuses_the_spans_under_it() -> None:
    """They have no context to be stored with; the other resource's spans are kept."""
    request = otlp.traces(otlp.make_span(), otlp.make_span(name="b"))
    request.resource_spans[0].resource.attributes[0].value.string_value = MARK
    request.MergeFrom(otlp.traces(otlp.make_span(name="c")))
    decoded = decode_traces(_broken(request.SerializeToString()), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 2)


def test_a_log_record_of_bad_text_is_refused_alone() -> None:
    """The same for log records."""
    bad = otlp.make_log(body=AnyValue(string_value=MARK))
    decoded = decode_logs(_broken(otlp.logs(otlp.make_log(), bad).SerializeToString()), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert "log record 1" in decoded.reasons[0]


@pytest.mark.parametrize(
    ("decode", "event"), [(decode_traces, otlp.make_span()), (decode_logs, otlp.make_log())]
)
def test_pieces_of_a_resource_or_scope_are_one(decode: Any, event: Any) -> None:
    """What protobuf would merge is merged beside a torn event too."""
    part = otlp.part
    attributes = [part(1, part(1, key) + part(2, part(1, b"v"))) for key in (b"a", b"b")]
    resource = b"".join(part(1, attribute) for attribute in attributes)
    scope = part(1, part(1, b"name")) + part(1, part(2, b"v1"))
    body = part(
        1, resource + part(2, scope + part(2, event.SerializeToString()) + part(2, b"\x0f"))
    )
    decoded = decode(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    context = codec.decode_context(decoded.groups[0].context)
    assert context.resource_attributes == {"a": "v", "b": "v"}
    assert (context.scope_name, context.scope_version) == ("name", "v1")


def test_a_scope_without_events_counts_for_nothing() -> None:
    """What is cut of its resource is not counted again, however the body was read."""
    part = otlp.part
    pairs = b"".join(part(1, part(1, b"k%d" % number)) for number in range(3))
    few, span = Limits(max_attributes=2), otlp.make_span().SerializeToString()
    resource = part(1, pairs) + part(2, part(1, part(1, b"empty"))) + part(2, part(2, span))
    decoded = decode_traces(part(1, resource), few)
    torn = decode_traces(part(1, resource + part(2, part(2, b"\x0f"))), few)
    assert decoded.cut == {"attribute": 1}
    assert torn.cut == {"attribute": 2}


def test_a_span_nested_too_deeply_is_refused_alone() -> None:
    """Protobuf gives up on it; the other spans are kept."""
    value = b"\x18\x01"
    for _ in range(60):
        value = _field(5, _field(1, value))
    deep = otlp.make_span(name="deep").SerializeToString() + _field(9, _field(2, value))
    good = otlp.make_span().SerializeToString()
    body = _field(1, _field(2, _field(2, deep) + _field(2, good)))
    decoded = decode_traces(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert "'deep'" in decoded.reasons[0]


def _field(number: int, data: bytes) -> bytes:
    """One length-delimited field."""
    length = len(data)
    size = b""
    while length > 127:
        size += bytes((length & 127 | 128,))
        length >>= 7
    return bytes((number << 3 | 2,)) + size + bytes((length,)) + data


def test_what_is_no_protobuf_is_refused() -> None:
    """Text, gzip without its header and a torn body give a sentence, not a crash."""
    body = otlp.traces(otlp.make_span()).SerializeToString()
    for data in (b"hello", b"\x1f\x8b\x08\x00", body[:-3], b"{}", b"\xff" * 50):
        with pytest.raises(BadInput):
            decode_traces(data, LIMITS)


def test_rows_of_a_split_body_decode() -> None:
    """What was kept is a whole event."""
    spans = [otlp.make_span(), otlp.make_span(attributes={"k": MARK})]
    decoded = decode_traces(_broken(otlp.traces(*spans).SerializeToString()), LIMITS)
    assert codec.decode_event(decoded.groups[0].rows[0]).name == "charge"

"""Senders of other versions of OTLP: read where they can be, and told where they cannot."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from service.otlp.decode import decoder, protobuf
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.json_body import decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.request import Encoding, Outcome, Signal
from service.otlp.transport import answers
from tests import otlp

LIMITS = Limits()


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of any number."""
    out, key = b"", number << 3 | 2
    while key > 0x7F:
        out += bytes([key & 0x7F | 0x80])
        key >>= 7
    sized = otlp.part(1, content)[1:]
    return out + bytes([key]) + sized


def _renumbered(body: bytes, field: int) -> bytes:
    """A request whose first scope stands in another field of its resource."""
    resource = ExportTraceServiceRequest.FromString(body).resource_spans[0]
    scope = resource.scope_spans[0].SerializeToString()
    del resource.scope_spans[0]
    return otlp.part(1, resource.SerializeToString() + _field(field, scope))


def _rows(decoded: Decoded) -> list[tuple[bytes, list[bytes]]]:
    return [(group.context, group.rows) for group in decoded.groups]


@pytest.mark.parametrize("decode", [decoder.decode_traces, protobuf.decode_traces])
def test_scopes_of_before_0_15_are_read(decode: Callable[[bytes, Limits], Decoded]) -> None:
    """Instrumentation libraries give the groups that scopes give, beside scopes too."""
    body = otlp.traces(otlp.make_span(name="old"), otlp.make_span(name="b")).SerializeToString()
    new = decode(body, LIMITS)
    assert _rows(decode(_renumbered(body, 1000), LIMITS)) == _rows(new)
    assert _rows(decode(_renumbered(body, 1000) + body, LIMITS)) == _rows(new) * 2


def test_logs_of_before_0_15_are_read() -> None:
    """They have the same numbers."""
    body = otlp.logs(otlp.make_log(), otlp.make_log()).SerializeToString()
    old = _renumbered(body, 1000)
    assert decoder.decode_logs(old, LIMITS).groups == decoder.decode_logs(body, LIMITS).groups


def test_a_bad_old_span_is_refused_alone() -> None:
    """As under a scope."""
    request = otlp.traces(otlp.make_span(), otlp.make_span(trace_id=b"x"))
    decoded = decoder.decode_traces(_renumbered(request.SerializeToString(), 1000), LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)


@pytest.mark.parametrize("decode", [decoder.decode_traces, protobuf.decode_traces])
def test_old_scopes_of_logs_are_no_spans(decode: Callable[[bytes, Limits], Decoded]) -> None:
    """Whose events make sense as log records only was sent to the wrong door."""
    log = otlp.make_log().SerializeToString()
    body = otlp.part(1, b"\xc2\x3e\x00" + otlp.part(2, otlp.part(2, log)))
    with pytest.raises(WrongSignal, match="log records"):
        decode(body, LIMITS)


@pytest.mark.parametrize("field", [4, 999, 1001])
@pytest.mark.parametrize("decode", [decoder.decode_traces, decoder.decode_logs])
def test_nothing_is_acknowledged_silently_that_was_not_read(
    decode: Callable[[bytes, Limits], Decoded], field: int
) -> None:
    """Where nothing but unknown fields came, the sender is told so."""
    body = _renumbered(otlp.traces(otlp.make_span()).SerializeToString(), field)
    decoded = decode(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (0, 0)
    assert decoded.unread_bytes > 40
    assert "nothing was read" in decoded.reasons[0]


def test_unknown_fields_beside_spans_are_counted() -> None:
    """A newer sender's fields are no reason to complain, and they are counted."""
    body = otlp.traces(otlp.make_span()).SerializeToString()
    decoded = decoder.decode_traces(body + _field(77, b"x" * 50), LIMITS)
    assert (decoded.accepted, decoded.reasons) == (1, [])
    assert decoded.unread_bytes == 50 + 3


def test_unknown_json_is_told() -> None:
    """The same in JSON; texts and numbers cannot carry spans."""
    lost: Any = [{"spans": [{"traceId": "00" * 16}]}]
    for body in (
        {"resourceSpanz": lost},
        {"resourceSpans": [{"libraryScopeSpans": lost}]},
    ):
        decoded = decode_traces_json(json.dumps(body).encode(), LIMITS)
        assert "nothing was read" in decoded.reasons[0]
    for harmless in ({}, {"resourceSpans": []}, {"note": "n" * 100}, {"resourceSpans": [{}, None]}):
        decoded = decode_traces_json(json.dumps(harmless).encode(), LIMITS)
        assert decoded.reasons == []


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_warning_is_a_partial_success_that_refused_nothing(encoding: Encoding) -> None:
    """So OTLP asks for it."""
    answer = answers.success(Signal.TRACES, encoding, Outcome(reasons=("nothing was read",)))
    assert b"nothing was read" in answer
    assert answers.success(Signal.TRACES, encoding, Outcome()) in (b"", b"{}")

"""OTLP/JSON: the same rows as protobuf, lenient where the rules are, strict where they are not."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from events import codec
from events.errors import BadInput, Rejected, TooLarge
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.json_body import decode_logs_json, decode_traces_json
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_logs, decode_traces
from tests import otlp

LIMITS = Limits(max_string_bytes=300, max_attributes=4, max_span_events=1, max_links=1)
SPAN = {
    "traceId": otlp.TRACE_ID.hex(), "spanId": otlp.SPAN_ID.hex(), "name": "charge",
    "startTimeUnixNano": str(otlp.START_NS),
}  # fmt: skip


def _body(*spans: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}).encode()


def _decode(*spans: Any) -> Decoded:
    decoded = decode_traces_json(_body(*spans), LIMITS)
    assert decoded.accepted + decoded.refused == len(spans)
    return decoded


def _events(decoded: Decoded) -> list[Any]:
    return [codec.decode_event(row) for group in decoded.groups for row in group.rows]


def _value(value: Any) -> Any:
    (event,) = _events(_decode(SPAN | {"attributes": [{"key": "k", "value": value}]}))
    return event.attributes["k"]


def _snake(value: Any) -> Any:
    """`value` with field names in snake_case."""
    if isinstance(value, list):
        return [_snake(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "".join(f"_{c.lower()}" if c.isupper() else c for c in key): _snake(item)
        for key, item in value.items()
    }


@settings(max_examples=60, deadline=None)
@given(st.lists(otlp.spans, max_size=3))
def test_spans_in_json_give_the_rows_of_protobuf(spans: list[Any]) -> None:
    """The encoding leaves no trace in a group, so a resend in the other one is a duplicate."""
    request = otlp.traces(*spans)
    expected = decode_traces(request.SerializeToString(), LIMITS)
    body = otlp.to_json(request)
    for text in (body, json.dumps(_snake(json.loads(body))).encode()):
        found = decode_traces_json(text, LIMITS)
        assert [(g.context, g.rows) for g in found.groups] == [
            (g.context, g.rows) for g in expected.groups
        ]
        assert (found.accepted, found.refused) == (len(spans), 0)
        assert found.cut == expected.cut


@settings(max_examples=40, deadline=None)
@given(st.lists(otlp.log_records, max_size=3))
def test_log_records_in_json_give_the_rows_of_protobuf(records: list[Any]) -> None:
    """The same for log records, whose bodies may be any value."""
    request = otlp.logs(*records)
    expected = decode_logs(request.SerializeToString(), LIMITS)
    body = otlp.to_json(request)
    for text in (body, json.dumps(_snake(json.loads(body))).encode()):
        assert decode_logs_json(text, LIMITS).groups == expected.groups


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": ""}, ""),
        ({"intValue": "-5"}, -5),
        ({"intValue": 7}, 7),
        ({"intValue": 7.0}, 7),
        ({"int_value": "9"}, 9),
        ({"boolValue": False}, False),
        ({"doubleValue": 3}, 3.0),
        ({"doubleValue": "Infinity"}, float("inf")),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"doubleValue": "1.5"}, 1.5),
        ({"bytesValue": "AP8="}, b"\x00\xff"),
        ({"bytesValue": "_-8"}, b"\xff\xef"),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": [{"intValue": 1}, {}, None]}}, [1, None, None]),
        ({"kvlistValue": {"values": [{"key": "a", "value": None}]}}, {"a": None}),
        ({}, None),
        (None, None),
        ({"unknownValue": 1}, None),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    """Each kind of value in each of its spellings."""
    found = _value(value)
    assert found == expected
    assert type(found) is type(expected)


def test_not_a_number_is_kept() -> None:
    """NaN is a string in JSON and a float in the log."""
    assert str(_value({"doubleValue": "NaN"})) == "nan"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"traceId": "xyz"}, "trace_id is not hex"),
        ({"traceId": "00ff"}, "trace_id has 2 bytes"),
        ({"spanId": "AAECAwQFBgc="}, "span_id is not hex"),
        ({"name": 5}, "name"),
        ({"name": "\ud800"}, "not UTF-8"),
        ({"startTimeUnixNano": "12x"}, "no whole number"),
        ({"startTimeUnixNano": 1.5}, "no whole number"),
        ({"startTimeUnixNano": -1}, "negative"),
        ({"startTimeUnixNano": 2**63}, "out of range"),
        ({"startTimeUnixNano": 10**40}, "out of range"),
        ({"startTimeUnixNano": None}, "missing"),
        ({"endTimeUnixNano": str(2**64)}, "out of range"),
        ({"flags": 2**32}, "flags is out of range"),
        ({"droppedLinksCount": "-1"}, "out of range"),
        ({"kind": "SPAN_KIND_NONE"}, "kind"),
        ({"events": {}}, "events"),
        ({"status": {"code": True}}, "code"),
        ({"attributes": [{"key": "k", "value": {"intValue": str(2**63)}}]}, "intValue"),
        ({"attributes": [{"key": "k", "value": {"bytesValue": "%"}}]}, "base64"),
        ({"attributes": [{"key": "k", "value": {"doubleValue": "many"}}]}, "no number"),
        ({"attributes": [{"key": "k", "value": "v"}]}, "attributes"),
    ],
)
def test_a_bad_span_is_refused_alone(change: dict[str, Any], reason: str) -> None:
    """The reason names the field, and the other span of the request is kept."""
    decoded = _decode(SPAN | change, SPAN)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert reason in decoded.reasons[0]


def test_a_span_of_invalid_utf8_is_refused_alone() -> None:
    """The other spans of the body are kept."""
    body = _body(SPAN | {"name": "@"}, SPAN).replace(b'"@"', b'"\xff"')
    decoded = decode_traces_json(body, LIMITS)
    assert (decoded.accepted, decoded.refused) == (1, 1)
    assert "UTF-8" in decoded.reasons[0]


def test_a_bad_resource_refuses_its_spans_only() -> None:
    """Spans under another resource are kept."""
    bad = {"attributes": [{"key": "k", "value": {"intValue": "?"}}]}
    parts = [
        {"resource": bad, "scopeSpans": [{"spans": [SPAN, SPAN]}]},
        {"scopeSpans": [{"spans": [SPAN]}]},
    ]
    for field in ("resourceSpans", "resource_spans"):
        decoded = decode_traces_json(json.dumps({field: parts}).encode(), LIMITS)
        assert (decoded.accepted, decoded.refused) == (1, 2)


def test_enums_may_be_names() -> None:
    """Names and numbers of kinds, codes and severities mean the same."""
    named = SPAN | {"kind": "SPAN_KIND_SERVER", "status": {"code": "STATUS_CODE_ERROR"}}
    numbered = SPAN | {"kind": 2, "status": {"code": 2}}
    assert _decode(named).groups == _decode(numbered).groups


def test_unknown_fields_and_nulls_are_ignored() -> None:
    """A newer sender's fields do no harm, and null is an absent field."""
    odd = SPAN | {"future": {"deep": [1]}, "links": None, "status": None, "parentSpanId": None}
    assert _decode(odd).groups == _decode(SPAN).groups


def test_hex_ids_may_be_of_either_case() -> None:
    """The OTLP rules take both."""
    assert _decode(SPAN | {"traceId": SPAN["traceId"].upper()}).groups == _decode(SPAN).groups


def test_what_a_protobuf_library_writes_is_understood() -> None:
    """Names of enums, strings for 64-bit integers; only ids differ from the OTLP rules."""
    request = otlp.traces(otlp.make_span(kind=3, attributes={"n": 5}, flags=1))
    message = MessageToDict(request)
    span = message["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    span |= {"traceId": SPAN["traceId"], "spanId": SPAN["spanId"]}
    found = decode_traces_json(json.dumps(message).encode(), LIMITS)
    assert found.groups == decode_traces(request.SerializeToString(), LIMITS).groups


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"5", b'"x"', b"{", b'{"resourceSpans": 5}', b"\xff\xfe{}", b"\x0a\x00",
     b'{"resourceSpans":' + b"[" * 100_000, b'{"resourceSpans":[{"scopeSpans":[{"spans":['
     + b'{"x":' * 50_000],
)  # fmt: skip
@pytest.mark.parametrize("decode", [decode_traces_json, decode_logs_json])
def test_what_is_no_otlp_is_refused(
    body: bytes, decode: Callable[[bytes, Limits], Decoded]
) -> None:
    """A body of another shape, torn or nested without end, is refused with a sentence."""
    with pytest.raises((BadInput, TooLarge)):
        decode(body, LIMITS) if decode is decode_traces_json or b"Spans" not in body else decode(
            body.replace(b"Spans", b"Logs").replace(b"spans", b"logRecords"), LIMITS
        )


def test_another_signal_is_recognised() -> None:
    """Logs on the traces path and traces on the logs path are told apart by their names."""
    with pytest.raises(WrongSignal):
        decode_traces_json(b'{"resourceLogs": []}', LIMITS)
    with pytest.raises(WrongSignal):
        decode_logs_json(b'{"resourceSpans": []}', LIMITS)
    assert decode_traces_json(b"{}", LIMITS).accepted == 0


@pytest.mark.parametrize(
    ("decode", "names"),
    [
        (decode_traces_json, ("resource_logs", "resource_metrics")),
        (decode_logs_json, ("resource_spans", "resource_metrics")),
    ],
)
def test_another_signal_is_recognised_by_the_lenient_parser(
    decode: Callable[[bytes, Limits], Decoded], names: tuple[str, ...]
) -> None:
    """Also in snake_case, and in a body that has to be looked at closer."""
    for name in names:
        camel = name.replace("_l", "L").replace("_m", "M").replace("_s", "S")
        for body in (f'{{"{name}": [{{}}]}}', f'{{"{camel}": [{{"scope_x": 1}}]}}'):
            with pytest.raises(WrongSignal):
                decode(body.encode(), LIMITS)


def test_deep_values_are_cut() -> None:
    """Nesting is bounded, and the span says that it was cut."""
    value: Any = {"intValue": 1}
    for _ in range(40):
        value = {"arrayValue": {"values": [value]}}
    decoded = _decode(SPAN | {"attributes": [{"key": "k", "value": value}]})
    assert decoded.cut == {"depth": 1}
    assert _events(decoded)[0].cut == ("depth",)


@settings(max_examples=120, deadline=None)
@given(st.lists(otlp.spans, min_size=1, max_size=2), st.data())
def test_torn_and_altered_json_never_harms(spans: list[Any], data: Any) -> None:
    """Whatever the bytes, the answer is a decoded request or a rejection."""
    body = bytearray(otlp.to_json(otlp.traces(*spans)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [b'"', b"{", b"null", b"-1", b"1e999", b"\xff", b"[]", b"\\ud800", b"_"]
            )
        )
    for decode in (decode_traces_json, decode_logs_json):
        try:
            decoded = decode(bytes(body), LIMITS)
        except Rejected:
            continue
        assert decoded.accepted == len(_events(decoded))


LARGE = SPAN | {"attributes": [{"key": "llm.prompt", "value": {"stringValue": "x" * 1_300_000}}]}
ODD: list[tuple[str, Any, int]] = [
    ("a bad kind", {"kind": {}}, 1),
    ("half a character", {"name": "\ud800"}, 1),
    ("an unknown field", {"vendor_flag": True, "x_y": [{"a_b": {}}], "trace_id_2": None}, 0),
    ("snake_case", {"trace_state": "a=b", "dropped_links_count": 1}, 0),
    ("an unknown field of a deprecated kind", {"status": {"deprecated_code": 1, "code": 2}}, 0),
]


@pytest.mark.parametrize(("what", "change", "refused"), ODD, ids=[case[0] for case in ODD])
@pytest.mark.parametrize("large_first", [True, False])
def test_nothing_odd_costs_another_span(
    what: str, change: dict[str, Any], refused: int, large_first: bool
) -> None:
    """Whatever the sizes are: a span is refused for its own faults only."""
    spans = [LARGE, SPAN | change] if large_first else [SPAN | change, LARGE]
    decoded = decode_traces_json(_body(*spans), Limits())
    assert (decoded.accepted, decoded.refused) == (2 - refused, refused), what
    large = [e for e in _events(decoded) if "llm.prompt" in e.attributes]
    assert len(large[0].attributes["llm.prompt"]) == 64 << 10


@pytest.mark.parametrize("level", ["request", "resource", "scope"])
@pytest.mark.parametrize(
    "field", [{"vendor_note": "x_y"}, {"vendorNote": {"a": []}}, {"spans_count": 5}, {"x": None}]
)
def test_unknown_fields_are_ignored_on_every_level(level: str, field: dict[str, Any]) -> None:
    """Whatever their names and values are."""
    body = json.loads(_body(LARGE, SPAN))
    at = {"request": body, "resource": body["resourceSpans"][0]}
    at["scope"] = at["resource"]["scopeSpans"][0]
    at[level].update(field)
    assert decode_traces_json(json.dumps(body).encode(), LIMITS).accepted == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"scopeSpans": 5},
        {"schemaUrl": 5, "scopeSpans": [{"spans": [SPAN]}]},
        {"resource": 5, "scopeSpans": [{"spans": [SPAN]}]},
        {"scopeSpans": [{"spans": 5}, {"scope": [], "spans": [SPAN]}]},
        {"scopeSpans": [{"spans": [5, None, SPAN | {"name": 5}]}]},
        7,
    ],
)
def test_what_is_wrong_costs_only_what_holds_it(bad: Any) -> None:
    """A bad scope or resource is refused with its spans; its neighbours are kept."""
    good = {"scopeSpans": [{"spans": [SPAN]}]}
    body = {"resourceSpans": [good, bad, good | {"schemaUrl": "u"}]}
    decoded = decode_traces_json(json.dumps(body).encode(), LIMITS)
    assert decoded.accepted == 2
    assert decoded.refused >= 1


@pytest.mark.parametrize("key", ["trace_id", "string_value", 'a "trace_id": b', "\\", '\\"'])
def test_no_key_or_value_is_renamed(key: str) -> None:
    """Only names of fields are spelled anew; what a sender said stays as it was."""
    attribute = {"key": key, "value": {"string_value": key}}
    (event,) = _events(_decode(SPAN | {"attributes": [attribute]}))
    assert event.attributes == {key: key}


def test_requests_from_before_otlp_0_15_are_read() -> None:
    """Scopes were instrumentation libraries, and log records were logs."""
    library = {"name": "old", "version": "1"}
    for spelled in (_snake, lambda value: value):
        old = {"instrumentationLibrary": library, "spans": [SPAN]}
        parts = [{"instrumentationLibrarySpans": [old], "scopeSpans": [{"spans": [SPAN]}]}]
        decoded = decode_traces_json(json.dumps(spelled({"resourceSpans": parts})).encode(), LIMITS)
        assert decoded.accepted == 2
        assert codec.decode_context(decoded.groups[1].context).scope_name == "old"
        for field in ("logs", "logRecords"):
            old = {"instrumentationLibrary": library, field: [{"timeUnixNano": 5}]}
            parts = [{"instrumentationLibraryLogs": [old]}]
            body = json.dumps(spelled({"resourceLogs": parts})).encode()
            assert decode_logs_json(body, LIMITS).accepted == 1

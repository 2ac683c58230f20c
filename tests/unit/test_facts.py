"""Facts as they are given: whatever is taken can be stored, and is read back as it was."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.log.memory import MemoryLog
from events.schema import Fact
from service.append.appender import Appender
from service.append.facts import BadFact, NewFact, fact_of
from service.configuration.settings import Settings

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), TEXTS, st.floats(allow_nan=False, allow_infinity=False),
        st.integers(-(2**66), 2**66),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=20,
)  # fmt: skip
PAYLOADS = st.dictionaries(TEXTS, VALUES, max_size=4)


def _new(payload: dict[str, Any], **changes: Any) -> NewFact:
    body = {"kind": "acme.x", "subject": {"type": "run"}, "payload": payload} | changes
    return msgspec.json.decode(json.dumps(body), type=NewFact)


def _stored(fact: Fact, *, scrub: bool) -> Any:
    log = MemoryLog()
    Appender(Settings(data=Path("unused"), scrub=scrub), lambda: log).append("default", fact)
    (recorded,) = log.read(0, 0).recorded()
    return recorded.event


def _integers(value: Any) -> list[int]:
    if isinstance(value, dict | list):
        held = value.values() if isinstance(value, dict) else value
        return [number for item in held for number in _integers(item)]
    return [value] if isinstance(value, int) else []


@settings(max_examples=200, deadline=None)
@given(payload=PAYLOADS)
def test_what_is_taken_is_read_back(payload: dict[str, Any]) -> None:
    """Every payload of JSON is stored as it was, but for integers beyond 64 bits."""
    fits = all(-(2**63) <= number < 2**63 for number in _integers(payload))
    try:
        fact = fact_of(_new(payload), "carol", None)
    except BadFact:
        assert not fits
        return
    assert fits
    assert _stored(fact, scrub=False) == fact


@pytest.mark.parametrize("key", ["note", "password", "api_key", "a\0b"])
@pytest.mark.parametrize(
    "text", ["bob@example.com", "x\0bob@example.com\0y", "hunter2", "10.1.2.3"]
)
def test_scrubbing_takes_what_is_private_and_nothing_else(key: str, text: str) -> None:
    """Whatever stands beside it; NUL characters do not hide it."""
    payload = {"beside": "plain", "deep": [{key: text}], "more": [None, 1.5, True]}
    fact = fact_of(_new(payload), "carol", "k")
    stored = _stored(fact, scrub=True)
    assert "bob@example.com" not in repr(stored.payload)
    is_private = key in ("password", "api_key") or "@" in text or text[0] == "1"
    assert bool(stored.scrubbed) == is_private
    assert {**stored.payload, "deep": None} == {**payload, "deep": None}


@pytest.mark.parametrize("depth", [15, 16])
def test_a_payload_is_at_most_so_deep(depth: int) -> None:
    """The payload itself is the first of sixteen."""
    payload: Any = 1
    for _ in range(depth):
        payload = [payload]
    new = _new({"x": payload})
    if depth == 15:
        assert fact_of(new, "a", None).payload == {"x": payload}
    else:
        with pytest.raises(BadFact, match="nested more than 16 deep"):
            fact_of(new, "a", None)


def test_without_a_key_each_is_a_fact_of_its_own() -> None:
    """Two equal reports are two facts; an empty key is refused, not taken for none."""
    keys = {fact_of(_new({}), "a", None).idempotency_key for _ in range(3)}
    assert len(keys) == 3
    with pytest.raises(BadFact, match="idempotency-key"):
        fact_of(_new({}), "a", "")


TRACE: Final = "00f067aa0ba902b74bf92f3577b34da6"
SPAN: Final = "1234567890123456"


@pytest.mark.parametrize(
    ("trace_id", "span_id"),
    [
        (TRACE, SPAN),
        (TRACE.upper(), f"0x{SPAN}"),
        ("00f067aa-0ba9-02b7-4bf9-2f3577b34da6", SPAN),
        (TRACE.lstrip("0"), f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-01", SPAN),
    ],
)
def test_ids_of_a_subject_have_one_spelling(trace_id: str, span_id: str) -> None:
    """As tools show them; so one trace is one subject, and a repeat in capitals is a repeat."""
    subject = {"type": "trace", "trace_id": trace_id, "span_id": span_id}
    fact = fact_of(_new({}, subject=subject), "a", None)
    assert fact.subject == {"type": "trace", "trace_id": TRACE, "span_id": SPAN}
    assert (fact.trace_id.hex(), fact.span_id.hex()) == (TRACE, SPAN)


@pytest.mark.parametrize("trace_id", ["0" * 32, "", "zz", "1" * 19, 17, "a" * 33])
def test_an_id_that_is_none_or_could_be_two_is_refused(trace_id: str | int) -> None:
    """All zero is no id; digits alone may be hex or decimal, and a fact is for ever."""
    with pytest.raises(BadFact, match=r"subject\.trace_id"):
        fact_of(_new({}, subject={"type": "trace", "trace_id": trace_id}), "a", None)


def test_the_first_moment_of_1970_is_not_taken_for_no_time() -> None:
    """0 in the log means that nobody said when; the next nanosecond can be said."""
    with pytest.raises(BadFact, match="time: not between 1970 and 2262"):
        fact_of(_new({}, time="1970-01-01T00:00:00Z"), "a", None)
    assert fact_of(_new({}, time="1970-01-01T00:00:00.000000001Z"), "a", None).time_ns == 1

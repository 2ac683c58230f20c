"""Which attributes of a failure tell its error."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from events import names
from events.codec import encode_event
from events.schema import SpanEvent
from projections.errors.telling import KEYS, telling, told_by
from projections.runs.failing import told_by_log, told_by_span
from tests.events import make_log, make_span

values = st.none() | st.text() | st.integers(0, 99) | st.lists(st.text(), max_size=2)
attributes = st.dictionaries(st.sampled_from((*KEYS, "other", "more")), values, max_size=6)
events = st.builds(
    SpanEvent, st.just(0), st.sampled_from((names.EXCEPTION_EVENT, "log")), attributes, st.just(0)
)


def test_attributes_that_tell_an_error_are_read_of_the_span_and_over_it_of_its_exception() -> None:
    """Whatever their types; others are passed over, and the last exception wins."""
    first, last = (
        SpanEvent(0, names.EXCEPTION_EVENT, {"exit_code": code, "other": [1]}, 0)
        for code in (1, 137)
    )
    own = {"exit_code": 9, "http.status_code": None, "fingerprint": ["a", "b"], "more": {"x": 1}}
    row = encode_event(make_span(attributes=own, events=(first, last)))
    told = {"exit_code": 137, "http.status_code": None, "fingerprint": ["a", "b"]}
    assert told_by_span(row) == told
    assert told_by_span(encode_event(make_span(attributes={"other": 1}))) == {}


@settings(deadline=None)
@given(attributes, st.lists(events, max_size=3))
def test_the_short_way_tells_the_same(said: dict[str, Any], sent: list[SpanEvent]) -> None:
    """What is read of a stored row is what mapped spans tell of the decoded one."""
    span = make_span(attributes=said, events=tuple(sent))
    assert told_by_span(encode_event(span)) == told_by(said, sent)
    assert told_by_log(encode_event(make_log(attributes=said))) == telling(said)

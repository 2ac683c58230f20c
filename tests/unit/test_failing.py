"""Which attributes of a failure tell its error."""

from events import names
from events.codec import encode_event
from events.schema import SpanEvent
from projections.runs.failing import told_by_span
from tests.events import make_span


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

"""Times that senders write: one reader for all, to the nanosecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.times import parse_iso8601, parse_rfc3339, rfc3339

NOON_NS = 1_780_056_000 * 10**9


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-29T12:00:00Z", "2026-05-29t12:00:00z", "2026-05-29 12:00", "20260529T120000Z",
        "2026-05-29T14:00:00+0200", "2026-05-29T12:00:00.", "2026-05-29T12:00:00,0Z",
    ],
)  # fmt: skip
def test_ways_in_which_senders_write_noon(text: str) -> None:
    """Without a zone it is UTC; compact forms and either decimal mark are known."""
    assert parse_iso8601(text) == NOON_NS


def test_a_day_alone_is_its_midnight() -> None:
    """In UTC."""
    assert parse_iso8601("2026-05-29") == NOON_NS - 12 * 3600 * 10**9


@given(st.integers(0, 253_402_300_799 * 10**9))
def test_both_readers_agree(time_ns: int) -> None:
    """Whatever is RFC 3339 is the same moment to the lenient reader."""
    text = rfc3339(time_ns)
    assert text is not None
    assert parse_iso8601(text) == parse_rfc3339(text) == time_ns


@given(st.text(max_size=40))
def test_any_other_text_is_refused_as_a_value(text: str) -> None:
    """No text raises anything but ValueError."""
    for parse in (parse_iso8601, parse_rfc3339):
        try:
            parse(text)
        except ValueError:
            continue

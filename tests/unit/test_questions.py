"""Times at the edges, and parameters made into questions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.times import parse_rfc3339, rfc3339
from projections.query.parameters import moment_ns, parse
from projections.query.refusals import BadQuestion
from projections.views.attempts.question import AttemptsQuestion
from projections.views.tasks.question import TasksQuestion


@given(st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9))
def test_a_time_comes_back_to_the_nanosecond(time_ns: int) -> None:
    """From year 1 to 9999, before 1970 too."""
    text = rfc3339(time_ns)
    assert text is not None
    assert parse_rfc3339(text) == time_ns


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_500_000, "1970-01-01T00:00:00.001500Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
        ((1 << 63) - 1, "2262-04-11T23:47:16.854775807Z"),
        (1 << 80, None),
    ],
)
def test_as_many_decimals_as_needed(time_ns: int | None, text: str | None) -> None:
    """0, 3, 6 or 9; what no calendar holds is null."""
    assert rfc3339(time_ns) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-28T22:26:40+02:00",
        "2026-05-28T22:26:40 02:00",
        "2026-05-28t20:26:40z",
        "2026-05-28 20:26:40.000Z",
        "2026-05-28T20:26:40.0000000009Z",
    ],
)
def test_ways_to_write_one_time(text: str) -> None:
    """Offsets, a plus that a URL turned into a space, lower case, many decimals."""
    assert parse_rfc3339(text) == 1_780_000_000 * 10**9


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=6))
def test_any_parameters_are_a_question_or_are_refused(parameters: dict[str, str]) -> None:
    """No text breaks the parser."""
    try:
        question = parse(AttemptsQuestion, parameters)
    except BadQuestion:
        return
    assert question.limit >= 1


@pytest.mark.parametrize("name", ["status", "backfilled", "min_attempts"])
def test_null_is_no_value(name: str) -> None:
    """A client's `null` is refused and not taken for a filter that is absent; a name may be so."""
    with pytest.raises(BadQuestion, match="no value"):
        parse(TasksQuestion, {name: "null"})
    assert parse(TasksQuestion, {"executor": "null"}).executor == "null"


def test_years_that_no_event_can_have() -> None:
    """They are the first or last moment that fits into 64 bits."""
    assert moment_ns("0001-01-01T00:00:00Z") == -(2**63 - 1)
    assert moment_ns("9999-12-31T23:59:59Z") == 2**63 - 1


def test_a_word_that_is_none_is_told_the_words() -> None:
    """Where only some words may stand, the refusal has all of them."""
    with pytest.raises(BadQuestion, match=r"'rubbish'; one of running, completed, .*, unknown$"):
        parse(AttemptsQuestion, {"status": "rubbish"})

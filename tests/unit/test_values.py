"""Attribute values as senders give them."""

from typing import Any

import pytest

from projections.runs import words
from projections.runs.more import More, MoreAttributes, extra_of, more_of, shown_of
from projections.runs.rows import TaskAttributes
from projections.runs.times import parse_ns
from projections.runs.values import (
    environment_of,
    fraction_of,
    money_of,
    number_of,
    text_of,
    whole_of,
)


@pytest.mark.parametrize("value", [2, 2.0, "2", " 2 ", "2.0", "02", "+2"])
def test_a_whole_number_in_any_form(value: Any) -> None:
    """JavaScript and Lua have only doubles, and environments only texts."""
    assert whole_of(value) == number_of(value) == 2


@pytest.mark.parametrize(
    "value", [None, True, 2.5, "2.5", "", "x", "2e3", "1" * 400, float("inf"), float("nan"), [2]]
)
def test_anything_else_is_no_whole_number(value: Any) -> None:
    """It counts as not said."""
    assert whole_of(value) is None
    assert number_of(value) is None


@pytest.mark.parametrize(
    ("value", "amount"),
    [(0, 0.0), ("0.25", 0.25), (2, 2.0), (-1, None), (True, None), ("much", None), ([1], None),
     (float("nan"), None), ("inf", None), (10**400, None), ("1" * 40, None)],
)  # fmt: skip
def test_money_is_an_amount_or_nothing(value: Any, amount: float | None) -> None:
    """Neither below zero nor beyond all bounds, as such or as text."""
    assert money_of(value) == amount


def test_an_environment_is_told_by_newer_and_older_conventions() -> None:
    """The newer name wins."""
    older = {"deployment.environment": "dev"}
    assert environment_of({"deployment.environment.name": "prod", **older}) == "prod"
    assert environment_of(older) == "dev"
    assert environment_of({"deployment.environment.name": ""}) is None


@pytest.mark.parametrize(("value", "number"), [(0, 0), (-1, None), (words.NUMBER_LIMIT, None)])
def test_attempt_numbers_are_bounded(value: int, number: int | None) -> None:
    """From 0, and so that one may be added."""
    assert number_of(value) == number


def test_doubles_count_as_whole_numbers_wherever_a_number_is_read() -> None:
    """Counts, references, ids and times."""
    said = TaskAttributes(
        retry_of=2.0, files_written=3.0, retrieval_count="4", retrieval_sources=5.0
    )
    more = more_of(said)
    assert more is not None
    assert (more.retry_of, more.files_written, more.retrieval_count, more.retrieval_sources) == (
        "2", 3, 4, 5,
    )  # fmt: skip
    assert (text_of(7.0), text_of(7), text_of(7.5)) == ("7", "7", "7.5")
    assert parse_ns(1_780_000_000_000_000_000.0) == parse_ns("1780000000000000000")


@pytest.mark.parametrize(
    ("value", "fraction"), [(0.5, 0.5), ("0.5", 0.5), ("1", 1.0), (1, 1.0), (2, None), ("x", None)]
)
def test_progress_is_a_number_from_0_to_1(value: Any, fraction: float | None) -> None:
    """As such or as decimal text."""
    assert fraction_of(value) == fraction


@pytest.mark.parametrize("name", MoreAttributes.__struct_fields__)
def test_what_few_attempts_say_is_read_alone_too(name: str) -> None:
    """Each attribute is noticed by itself, and read into the field of its name."""
    read = [more_of(MoreAttributes(**{name: value})) for value in (True, "3", "x")]
    assert {getattr(more, name) for more in read if more} - {getattr(More(), name)}
    said = [field for field in More.__struct_fields__ if field != "mapped"]  # rules say that
    assert said == list(MoreAttributes.__struct_fields__)


def test_an_answer_shows_what_is_said() -> None:
    """The column holds the fields of the answer that differ from nothing, and no others."""
    more = More(retry_of="1", parents=("p",), retrieval_count=0)
    assert shown_of(extra_of(more)) == {"parents": ["p"], "retrieval_count": 0}
    assert extra_of(More(retry_of="1", will_retry=True)) == b""

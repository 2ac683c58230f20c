"""Searching attempts: what a text means, and what it may not say."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.query.refusals import BadQuestion
from projections.views.attempts.search import FIELDS, Attribute, parsed, required, search

ROW = {
    "task_id": "checkout.charge", "run_id": "r1", "status": "failed", "executor": "Worker-2",
    "error_type": "ConnectionError", "error_message": "card declined: 402", "model": "large-1",
    "attributes": {"http.route": "/a b", "shop": "north"},
    "duration": 2_500_000_000, "attempt": 2,
}  # fmt: skip


def says(row: Any, attribute: Attribute) -> bool:
    """Whether the row has an attribute."""
    return bool(row.get("attributes", {}).get(attribute.key) == attribute.value)


def reading(row: Any, name: str) -> Any:
    """A value of a row."""
    return row.get(name)


@pytest.mark.parametrize(
    "text",
    [
        "checkout", "DECLINED", "task:checkout.charge", "task:check*",
        "status:failed executor:worker-2",
        'error:"card declined"', '"card declined"', "status:completed OR model:large*",
        "NOT status:completed", "(status:completed OR status:failed) AND attempt>=2",
        "NOT (status:completed OR attempt>2)", "duration>2s", "duration<=2.5s", "attempt=2",
        "type:connection NOT task:other", "NOT NOT failed", '@http.route:"/a b"',
        'http.route="/a b" failed', "@shop:north", "NOT @shop:south", "@shop:x OR failed",
    ],
)  # fmt: skip
def test_what_holds_is_found(text: str) -> None:
    """Words anywhere, fields as a whole, prefixes, comparisons, and how they are joined."""
    assert search(text, reading, says)(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "receipt", "task:checkout", "status:fail", "NOT failed", "status:failed attempt>2",
        "status:completed OR attempt>2", "duration>3s", "queue:payments", "checkout AND receipt",
        "status:completed OR status:failed receipt", "@shop:North", "http.route:/a", "@other:north",
    ],
)  # fmt: skip
def test_what_does_not_hold_is_left_out(text: str) -> None:
    """AND binds more than OR; a field that a row does not have holds no word."""
    assert not search(text, reading, says)(ROW)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing to search"), ("(a", "not closed"), ("a)", "not opened"), ("a OR", "missing"),
        ("AND a", "missing"), ("NOT", "missing"), ('"a', "quotation mark"),
        ("colour:red", "no field"),
        ("duration>soon", "soon"), (f"duration<{'9' * 400}s", "a time above 0"),
        ("attempt>x", "whole number"), ("a " * 70, "more than 64"),
        ("(" * 20 + "a" + ")" * 20, "nested"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    """Nothing is guessed: the message says which part is no search."""
    with pytest.raises(BadQuestion, match=told):
        search(text, reading, says)


@given(st.text(max_size=200))
def test_any_text_is_a_search_or_refused(text: str) -> None:
    """No text breaks it."""
    with suppress(BadQuestion):
        search(text, reading, says)(ROW)


@given(st.sampled_from(sorted(FIELDS)), st.text("abz.-", min_size=1, max_size=8))
def test_not_is_the_opposite(field: str, word: str) -> None:
    """Every row passes either a search or its negation."""
    test, opposite = (search(f"{no}{field}:{word}", reading, says) for no in ("", "NOT "))
    assert test(ROW) != opposite(ROW)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("@a:1 b.c=2 failed", [("a", "1"), ("b.c", "2")]), ("@a:1 OR failed", []),
        ("NOT @a:1", []), ("(@a:1 OR @b:2) @c:3", [("c", "3")]), ("NOT (@a:1) @b:2", [("b", "2")]),
    ],
)  # fmt: skip
def test_what_every_found_attempt_has_is_known(text: str, wanted: list[tuple[str, str]]) -> None:
    """An attribute that stands alone, not one that is denied or a choice."""
    assert required(parsed(text)) == wanted

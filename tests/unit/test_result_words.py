"""Words for a result: one table, in the code and in the page about it."""

import re
from pathlib import Path

import pytest

from projections.runs import words
from projections.runs.values import status_of

PAGE = Path(__file__).parents[2] / "docs" / "mappings.md"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("completed", words.COMPLETED), ("SUCCESS", words.COMPLETED), ("Ok", words.COMPLETED),
        ("upstream_failed", words.FAILED), ("Upstream Failed", words.FAILED),
        ("TimedOut", words.TIMED_OUT), ("timed-out", words.TIMED_OUT), ("timeout", words.TIMED_OUT),
        ("canceled", words.CANCELLED), ("REVOKED", words.CANCELLED), ("removed", words.CANCELLED),
        ("skip", words.SKIPPED), ("zombie", words.ABANDONED), ("Evicted", words.ABANDONED),
        ("deferred", words.RUNNING), ("rescheduled", words.RUNNING), ("unknown", words.UNKNOWN),
        ("gibberish", None), ("", None), ("success" * 1_000, None), (7, None), (["success"], None),
    ],
)  # fmt: skip
def test_words(word: object, status: int | None) -> None:
    """Case and separators do not count; what is no word for a result is none."""
    assert status_of(word) == status


def test_the_page_has_the_whole_table() -> None:
    """Each word stands in the page, in the row of its status, and no other does."""
    rows = re.findall(r"^\| .*?`(\w+)` \| (.+) \|$", PAGE.read_text("utf-8"), re.M)
    told = {
        words.spelling_of(word): words.STATUS_NUMBERS[status]
        for status, text in rows
        if status in words.STATUS_NUMBERS
        for word in text.split(", ")
    }
    assert told == words.RESULT_STATUS

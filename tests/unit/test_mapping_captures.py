"""What real orchestrators sent, mapped by the rules of the package."""

import json
from typing import Any

import pytest

from tests.captures import FOLDER
from tests.mapped import attempts_of, capture_rows, captures, joined, observed, shuffled

NAMES = captures()


def _expected(name: str) -> list[dict[str, Any]]:
    found = json.loads((FOLDER / name / "attempts.json").read_text())
    return [{k: v for k, v in row.items() if k not in ("retry_of", "running_ns")} for row in found]


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["run"], row["n"]))


def test_there_are_expectations() -> None:
    """Every capture says which attempts are in it."""
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_attempts_of_a_capture(name: str) -> None:
    """Each capture gives exactly its attempts, field by field."""
    assert _sorted(attempts_of(joined(observed(capture_rows(name))))) == _sorted(_expected(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_the_order_does_not_matter(name: str, seed: int) -> None:
    """Span by span in any order, some twice, and in groups: the same facts are left."""
    observations = observed(capture_rows(name))
    facts = joined(observations, at_once=len(observations))
    assert joined(shuffled(observations, seed), at_once=1 + seed % 4) == facts

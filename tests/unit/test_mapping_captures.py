"""What real orchestrators sent, mapped by the rules of the package."""

import json
from collections import defaultdict
from typing import Any

import pytest

from projections.mapping.join.placed import Placed
from projections.runs.words import FAILURES, STATUS_WORDS
from tests.captures import FOLDER
from tests.mapped import Facts, capture_rows, captures, joined, observed, shuffled

NAMES = captures()


def _attempts(facts: Facts) -> list[dict[str, Any]]:
    runs: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    for fact in facts.values():
        if not fact.queues:
            runs[fact.run.task_id, fact.run.run_id].append(fact)
    return [
        _attempt(fact, place)
        for run in runs.values()
        for place, fact in enumerate(sorted(run, key=lambda fact: fact.start_ns), 1)
    ]


def _attempt(fact: Placed, place: int) -> dict[str, Any]:
    failed = fact.outcome.status in FAILURES
    return {
        "system": fact.system, "run": fact.run.run_id, "task": fact.run.task_id,
        "n": fact.number or place, "status": STATUS_WORDS[fact.outcome.status],
        "start_ns": fact.start_ns, "end_ns": fact.end_ns, "queue": fact.queue,
        "executor": fact.executor, "error_type": fact.error_type if failed else None,
        "error": fact.error_message if failed else None, "trace": fact.trace_id.hex(),
        "span": fact.span_id.hex(),
    }  # fmt: skip


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
    assert _sorted(_attempts(joined(observed(capture_rows(name))))) == _sorted(_expected(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
def test_the_order_does_not_matter(name: str, seed: int) -> None:
    """Span by span in any order, some twice, and in groups: the same facts are left."""
    observations = observed(capture_rows(name))
    facts = joined(observations, at_once=len(observations))
    assert joined(shuffled(observations, seed), at_once=1 + seed % 4) == facts

"""The list of other instrumentations' attempts, against the ledger's built-in rules."""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from spanledger_sdk.lifecycle.foreign import FOREIGN, Foreign

RULES = Path(__file__).parents[2] / "projections" / "mapping" / "builtin"


def matches(file: str) -> list[dict[str, Any]]:
    """What the rules of a file match, but for those of what is queued, run or ignored."""
    rules = tomllib.loads((RULES / file).read_text("utf-8"))["rule"]
    return [rule["match"] for rule in rules if rule.get("role", "attempt") in ("attempt", "detail")]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.system)
def test_a_rule_makes_an_attempt_of_it(foreign: Foreign) -> None:
    """Of the same scope and kind; a sign of life that no rule knows would be told in vain."""
    kinds = [
        match.get("kind")
        for match in matches(f"{foreign.system}.toml")
        if match.get("scope") == foreign.scope
    ]
    assert kinds
    wanted = foreign.kind.name if foreign.kind else None
    assert {None, wanted} & set(kinds)


@pytest.mark.parametrize(
    "file", ["celery", "docket", "dramatiq", "hatchet", "prefect", "remoulade", "rq", "taskiq",
             "temporal"],
)  # fmt: skip
def test_each_task_queue_with_rules_is_followed(file: str) -> None:
    """Those that run in Python, whose scope tells them when a span starts."""
    scopes = [match["scope"] for match in matches(f"{file}.toml") if "scope" in match]
    assert scopes
    for scope in scopes:
        assert any(fnmatchcase(scope, foreign.scope) for foreign in FOREIGN), scope

"""What retries came to: from the log to the answer, the table and decisions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from events.schema import Span
from projections.policies.rule import Case
from projections.queries import Queries
from projections.views.retries import history
from service.cli.main import app
from service.policies.history import FRESH_S, TenantHistory
from tests.api_service import serving
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_batch,
    make_context,
    make_exception,
    make_span,
)
from tests.views import make_folder


def spans_of(
    run: str, ends: str, kind: str = "ConnectionResetError", said: str = "", **attributes: object
) -> list[Span]:
    """The attempts of a run, a letter each: `f` fails, `c` completes; 3 s from end to start."""
    return [
        make_span(
            task="t", run=run, attempt=number + 1, status_code=2 if end == "f" else 0,
            start_ns=BASE_NS + number * 4 * SECOND_NS,
            events=[make_exception(kind, said)] if end == "f" else [], attributes=attributes,
        )
        for number, end in enumerate(ends)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 runs that complete at the second attempt, 20 at the third, 5 that end with a failure, and
    one that was never tried again."""
    runs = ["fc"] * 30 + ["ffc"] * 20 + ["fff"] * 5 + ["f"]
    spans = [span for n, ends in enumerate(runs) for span in spans_of(f"r{n}", ends)]
    return make_folder(tmp_path_factory.mktemp("retries"), [make_batch(spans)])


@pytest.mark.parametrize("bound", ["PATTERNS", "OCCURRENCES"])
def test_an_answer_of_the_last_failures_alone_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    """`complete` is false where older failures, or other patterns, were not counted."""
    with serving(data) as client:
        assert client.get("/api/v1/retries").json()["complete"]
        monkeypatch.setattr(history, bound, 0)
        assert not client.get("/api/v1/retries").json()["complete"]


def test_each_attempt_is_counted_where_the_one_before_failed(data: Path) -> None:
    """By number: of 55 second attempts 30 succeeded, of 25 third ones 20."""
    with serving(data) as client:
        told = client.get("/api/v1/retries").json()
        patterns = client.get("/api/v1/retries", params={"by": "pattern"}).json()["items"]
        none = client.get("/api/v1/retries", params={"component": "other"}).json()["items"]
    found = [(i["category"], i["attempt"], i["tried"], i["succeeded"]) for i in told["items"]]
    assert found == [("network", 2, 55, 30), ("network", 3, 25, 20)]
    first = told["items"][0]
    assert first["low"] < first["share"] < first["high"]
    assert first["wait_s"] == 3.0
    assert first["advice"] == "retry after 3 s, at most 3 attempts"
    assert [item["type"] for item in patterns] == ["ConnectionResetError"] * 2
    assert none == []


def test_what_never_helps_is_not_advised(tmp_path: Path) -> None:
    """One success of one is a reason to try again."""
    spans = [s for n in range(100) for s in spans_of(f"r{n}", "ff", "TypeError", "bad order")]
    spans += spans_of("x", "fc", "TimeoutError")
    data = make_folder(tmp_path, [make_batch(spans)])
    told = CliRunner().invoke(app, ["retries", "--json", "--data", str(data)])
    advice = {item["category"]: item["advice"] for item in json.loads(told.stdout)["items"]}
    assert advice["execution"].startswith("don't retry")
    assert advice["timeout"].startswith("retry after 3 s")


def test_a_decision_names_what_it_is_based_on(data: Path) -> None:
    """Of the pattern, by its fingerprint; of another error of the category, by that."""
    with serving(data) as client:
        (pattern,) = client.get("/api/v1/errors").json()["items"]
        asked = {"fingerprint": pattern["fingerprint"], "attempts": 2}
        known = client.post("/api/v1/policies/decide", json=asked).json()
        error = {"type": "ConnectionRefusedError", "message": "refused"}
        other = client.post("/api/v1/policies/decide", json={"error": error}).json()
    assert (known["category"], known["transient"]) == ("network", True)
    assert known["statistics"]["basis"] == "pattern"
    assert (known["statistics"]["tried"], known["statistics"]["succeeded"]) == (25, 20)
    assert other["statistics"]["basis"] == "category"


def test_history_is_read_anew_after_a_minute(data: Path, tmp_path: Path) -> None:
    """Where there are no views yet nothing is known, and nobody is disturbed."""
    now = [0.0]
    case = Case(category="network")
    empty = TenantHistory(Queries(tmp_path), "default", clock=lambda: now[0])
    assert empty.of(case, 2) is None
    history = TenantHistory(Queries(data), "default", clock=lambda: now[0])
    assert history.of(case, 2) is not None
    calls = []
    history.read = lambda: calls.append(1)  # type: ignore[method-assign]
    now[0] = FRESH_S - 1
    history.of(case, 2)
    assert not calls


def test_a_policy_is_replayed_over_the_past(data: Path, tmp_path: Path) -> None:
    """One attempt for all would have saved 80 attempts and lost the 50 runs that completed."""
    file = tmp_path / "new.toml"
    file.write_text('inherit = false\n[defaults]\nretry = "never"\n')
    words = ["policies", "replay", "--policies", str(file), "--data", str(data)]
    told = CliRunner().invoke(app, [*words, "--json", "--cost-per-hour", "3600"])
    (whole, network) = json.loads(told.stdout)["items"]
    assert (whole["category"], network["category"]) == ("all", "network")
    assert (whole["runs"], whole["attempts_saved"], whole["runs_lost_low"]) == (56, 80, 50)
    assert whole["cost_usd"] == -80.0
    assert "lost" in CliRunner().invoke(app, words).stdout.lower()
    few = CliRunner().invoke(app, [*words, "--limit", "10"])
    assert few.exit_code == 2
    assert "--limit" in few.stderr


NEVER_IN_DEV = """
inherit = false
[defaults]
retry = "transient"
max_attempts = 3
[[rule]]
id = "dev"
when = { environment = "dev" }
retry = "never"
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that completed at the second attempt, in each of two environments and in one that
    nobody named; each attempt says its cost."""
    batches = []
    for place in ("dev", "prod", None):
        resource = {"service.name": "shop"} | (
            {"deployment.environment.name": place} if place else {}
        )
        spans = spans_of(f"in-{place}", "fc", **{"task.cost.usd": 0.25})
        batches.append(make_batch(spans, context=make_context(resource_attributes=resource)))
    return make_folder(tmp_path_factory.mktemp("places"), batches)


def replayed(data: Path, folder: Path, *words: str) -> dict[str, object]:
    """What the policy would have changed in all."""
    (folder / "new.toml").write_text(NEVER_IN_DEV)
    given = ["policies", "replay", "--policies", str(folder / "new.toml"), "--data", str(data)]
    told = CliRunner().invoke(app, [*given, "--json", *words])
    return next(it for it in json.loads(told.stdout)["items"] if it["category"] == "all")


@pytest.mark.parametrize(
    ("words", "runs", "lost", "cost"),
    [
        ((), 3, 1, -0.25),
        (("--environment", "dev"), 1, 1, -0.25),
        (("-e", "prod"), 1, 0, 0.0),
        (("--assume-environment", "dev"), 3, 2, -0.5),
        (("--assume-environment", "dev", "-e", "dev"), 2, 2, -0.5),
    ],
)
def test_the_past_is_replayed_where_it_was(
    places: Path, tmp_path: Path, words: tuple[str, ...], runs: int, lost: int, cost: float
) -> None:
    """By the environment that each attempt says it ran in, and with the cost that it says."""
    whole = replayed(places, tmp_path, *words)
    assert (whole["runs"], whole["runs_lost_low"], whole["cost_usd"]) == (runs, lost, cost)


def test_attempts_say_their_environment_and_cost(places: Path) -> None:
    """And lists can be asked for one environment."""
    with serving(places) as client:
        found = client.get("/api/v1/attempts", params={"environment": "prod"}).json()["items"]
        searched = client.get("/api/v1/attempts", params={"search": "environment:dev"}).json()
    assert [(it["environment"], it["cost_usd"]) for it in found] == [("prod", 0.25)] * 2
    assert {it["run_id"] for it in searched["items"]} == {"in-dev"}


def test_cost_is_not_told_where_nobody_said_it(data: Path) -> None:
    """Nothing is not the same as no cost."""
    told = CliRunner().invoke(app, ["policies", "replay", "--json", "--data", str(data)])
    assert json.loads(told.stdout)["items"][0]["cost_usd"] is None

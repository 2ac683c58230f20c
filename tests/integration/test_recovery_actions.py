"""What was done about failures: from spans and facts to answers and decisions."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from events.schema import SpanEvent
from projections.views.recovery_actions import question
from service.cli.main import app
from spanledger_sdk import names as sdk_names
from tests.api_service import serving
from tests.events import BASE_NS, make_batch, make_fact, make_span
from tests.views import make_folder


def event(action: Any, outcome: Any, **more: Any) -> SpanEvent:
    """An event that tells a recovery."""
    attributes = {
        "task.recovery.action": action, "task.recovery.outcome": outcome,
        "task.recovery.category": "database", "task.recovery.duration": 0.5, **more,
    }  # fmt: skip
    return SpanEvent(BASE_NS, "task.recovery", attributes, 0)


def fact(**payload: Any) -> Any:
    """A fact that tells one."""
    said = {"action": "restart_pod", "outcome": "succeeded", "duration_s": 2, "component": "shop"}
    return make_fact(
        kind="task.recovery", subject={"type": "attempt", "task_id": "t", "run_id": "r"},
        payload={**said, "category": "database", **payload},
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten reconnects of which nine succeed, a failed and a skipped cleaning, facts, and what says
    nothing: a snapshot without end, an outcome that nobody knows, a foreign fact."""
    spans = [
        make_span(run=f"r{n}", events=[event("reconnect", "failed" if n == 0 else "succeeded")])
        for n in range(10)
    ]
    spans.append(make_span(events=[event("clean", "failed"), event("clean", "skipped")]))
    spans.append(make_span(events=[event("clean", "perhaps"), event(None, "failed")]))
    spans.append(make_span(end_ns=0, events=[event("clean", "succeeded")]))
    facts = [fact(), fact(outcome="failed", duration_s="long"), fact(outcome=7)]
    facts.append(make_fact(kind="acme.task", payload={"note": "task.recovery"}))
    return make_folder(
        tmp_path_factory.mktemp("recovery"),
        [make_batch(spans), *(make_batch([one]) for one in facts)],
    )


def test_an_answer_of_the_last_actions_alone_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`complete` is false where older ones were not counted."""
    with serving(data) as client:
        assert client.get("/api/v1/recovery/actions").json()["complete"]
        monkeypatch.setattr(question, "ROWS", 3)
        told = client.get("/api/v1/recovery/actions").json()
    assert not told["complete"]
    assert sum(item["tried"] + item["skipped"] for item in told["items"]) == 3


def test_each_action_is_counted_by_its_outcome(data: Path) -> None:
    """By category, action and component; skipped ones were not tried."""
    with serving(data) as client:
        told = client.get("/api/v1/recovery/actions").json()
        other = client.get("/api/v1/recovery/actions", params={"category": "network"}).json()
    found = {
        item["action"]: (item["tried"], item["succeeded"], item["skipped"])
        for item in told["items"]
    }
    assert found == {"clean": (1, 0, 1), "reconnect": (10, 9, 0), "restart_pod": (2, 1, 0)}
    reconnect = told["items"][1]
    assert reconnect["component"] == "shop"
    assert reconnect["duration_s"] == 0.5
    assert reconnect["low"] < 0.9 < reconnect["high"]
    assert other["items"] == []


@pytest.mark.parametrize("outcome", ["succeeded", ["failed"], {"a": 1}, True, 1.5, float("nan")])
def test_odd_values_are_no_dead_letters(tmp_path: Path, outcome: Any) -> None:
    """Whatever type an outcome has, and however long the number of an attempt."""
    told = event("clean", outcome, **{"task.recovery.duration": float("inf")})
    digits = {"task.attempt": "9" * 30}
    spans = [
        make_span(run="r1", events=[told]),
        make_span(run="r2", events=[told], attributes=digits),
    ]
    said = fact(outcome=outcome)
    said.subject["attempt"] = "9" * 30
    data = make_folder(tmp_path, [make_batch(spans), make_batch([said])])
    with closing(sqlite3.connect(data / "views.db")) as views:
        assert views.execute("SELECT projection, error FROM dead_letter").fetchall() == []
        rows = views.execute("SELECT outcome, attempt FROM recovery_action").fetchall()
    assert rows == [("succeeded", None)] * 3 * (outcome == "succeeded")


def test_the_command_tells_the_same(data: Path) -> None:
    """`spanledger recovery`."""
    told = CliRunner().invoke(app, ["recovery", "--json", "--data", str(data)])
    assert [item["action"] for item in json.loads(told.stdout)["items"]] == [
        "clean", "reconnect", "restart_pod",
    ]  # fmt: skip


def test_a_decision_prefers_what_worked(data: Path, tmp_path: Path) -> None:
    """Of the actions that a policy names, and says why."""
    file = tmp_path / "p.toml"
    file.write_text(
        '[[rule]]\nid = "database"\nwhen = { category = "database" }\n'
        'actions = ["clean", "own", "restart_pod", "reconnect"]\n'
    )
    words = ["policies", "decide", "--category", "database", "--transient", "--component", "shop"]
    done = CliRunner().invoke(app, [*words, "--policies", str(file), "--data", str(data), "--json"])
    decision = json.loads(done.stdout)
    assert decision["actions"] == ["reconnect", "restart_pod", "clean", "own"]
    assert {one["action"]: one["succeeded"] for one in decision["helped"]} == {
        "clean": 0, "restart_pod": 1, "reconnect": 9,
    }  # fmt: skip


def test_the_sdk_and_the_ledger_spell_recoveries_alike() -> None:
    """Event and attributes."""
    from events import names  # noqa: PLC0415 - beside those of the SDK

    for name in ("EVENT", "ACTION", "OUTCOME", "DURATION", "CATEGORY"):
        assert getattr(names, f"RECOVERY_{name}") == getattr(sdk_names, f"RECOVERY_{name}")

"""What answers say of errors: from the log to the attempt and the pattern, and by own rules."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import re2

from events.errors import BadSetting
from projections.errors.classify.classifier import compile_set
from projections.errors.fingerprints.former import former_fingerprint
from projections.errors.normal.scan import options
from projections.errors.verdicts import Verdicts
from tests.api_service import serving
from tests.events import SECOND_NS, make_batch, make_exception, make_span
from tests.views import make_folder

REFUSED = "connection to 10.0.0.7:5432 refused, order 17"
FIELDS = {
    "type", "message", "stack_hash", "fingerprint", "category", "severity", "transient",
    "confidence", "reason", "suggestion",
}  # fmt: skip
RULE = """
[[rule]]
id = "mine.refused"
category = "database"
transient = "unknown"
types = ["ConnectionRefusedError"]
rank = 99
reason = "ours"
suggestion = "Look at {peer}."
"""


def failing(number: int, message: str, **changes: Any) -> Any:
    """A failed attempt of a run of its own."""
    event = make_exception("ConnectionRefusedError", message)
    return make_span(
        task="t", run=f"r{number}", attempt=1, status_code=2, events=[event], **changes
    )


def test_an_attempt_says_all_of_its_error(tmp_path: Path) -> None:
    """Category and suggestion are there, with a value of this very attempt."""
    data = make_folder(tmp_path, [make_batch([failing(1, REFUSED)])])
    with serving(data) as client:
        (item,) = client.get("/api/v1/attempts").json()["items"]
        (run,) = client.get("/api/v1/runs").json()["items"]
        task = client.get("/api/v1/tasks/t").json()
    error = item["error"]
    assert set(error) == FIELDS
    assert (error["category"], error["transient"]) == ("network", True)
    assert "10.0.0.7:5432" in error["suggestion"]
    assert run["error"] == task["error"] == error


def test_a_pattern_counts_the_runs_that_ended_with_it(tmp_path: Path) -> None:
    """Two runs failed, one of them completed later; and a message's values make no other one."""
    late = 1_780_000_009 * SECOND_NS
    spans = [
        failing(1, REFUSED),
        failing(2, REFUSED.replace("17", "18")),
        make_span(task="t", run="r2", attempt=2, start_ns=late, end_ns=late + 1),
    ]
    data = make_folder(tmp_path, [make_batch([span]) for span in spans])
    with serving(data) as client:
        (item,) = client.get("/api/v1/errors").json()["items"]
    assert set(item) > FIELDS
    assert (item["count"], item["runs_lost"], item["recovered"]) == (2, 1, 1)
    assert item["category"] == "network"


def test_another_code_or_a_name_of_the_senders_is_another_error(tmp_path: Path) -> None:
    """Attributes of the span and of the exception count: a status, and the sender's own name."""
    said = "request failed"
    spans = [
        failing(1, said, attributes={"http.response.status_code": 503}),
        failing(2, said, attributes={"http.response.status_code": 404}),
        failing(3, said, attributes={"error.fingerprint": "mine"}),
        failing(4, "something else", attributes={"error.fingerprint": "mine"}),
    ]
    data = make_folder(tmp_path, [make_batch(spans)])
    with serving(data) as client:
        items = client.get("/api/v1/errors").json()["items"]
    assert sorted(item["count"] for item in items) == [1, 1, 2]


def test_a_former_fingerprint_leads_to_its_pattern(tmp_path: Path) -> None:
    """A link that an older release gave shows the pattern under its name of today."""
    data = make_folder(tmp_path, [make_batch([failing(1, REFUSED)])])
    old = former_fingerprint("ConnectionRefusedError", REFUSED)
    with serving(data) as client:
        pattern = client.get(f"/api/v1/errors/{old}").json()
        (item,) = client.get("/api/v1/errors").json()["items"]
    assert pattern["fingerprint"] == item["fingerprint"] != old


def test_own_rules_hold_for_all_of_history(tmp_path: Path) -> None:
    """A file that is put into the folder changes what is answered of attempts before it."""
    data = make_folder(tmp_path, [make_batch([failing(1, REFUSED)])])
    (data / "error-rules").mkdir()
    (data / "error-rules" / "mine.toml").write_text(RULE)
    with serving(data) as client:
        (item,) = client.get("/api/v1/attempts").json()["items"]
    error = item["error"]
    assert (error["category"], error["transient"], error["reason"]) == ("database", None, "ours")
    assert error["suggestion"] == "Look at 10.0.0.7:5432."


def test_a_wrong_file_of_rules_leaves_those_before(tmp_path: Path) -> None:
    """What was read last holds until the file can be read."""
    path = tmp_path / "mine.toml"
    path.write_text(RULE)
    verdicts = Verdicts(tmp_path)
    known = {rule.id for rule in verdicts.look()}
    path.write_text("[[rule]]\nid = 7\n")
    os.utime(path, ns=(1, 1))
    assert {rule.id for rule in verdicts.look()} == known
    path.unlink()
    assert {rule.id for rule in verdicts.look()} == known - {"mine.refused"}


def test_rules_in_a_file_that_is_gone_stop_no_answer(tmp_path: Path) -> None:
    """A link that leads nowhere is a wrong file, as any other."""
    known = {rule.id for rule in Verdicts(tmp_path).look()}
    (tmp_path / "mine.toml").symlink_to(tmp_path / "nowhere")
    verdicts = Verdicts(tmp_path)
    assert {rule.id for rule in verdicts.look()} == known
    (tmp_path / "mine.toml").unlink()
    (tmp_path / "mine.toml").write_text(RULE)
    assert {rule.id for rule in verdicts.look()} == known | {"mine.refused"}


def test_rules_that_are_nested_too_deep_are_a_wrong_file(tmp_path: Path) -> None:
    """The parser of TOML gives up; the rules before them stay."""
    known = {rule.id for rule in Verdicts(tmp_path).look()}
    (tmp_path / "mine.toml").write_text("rule = " + "[" * 20_000)
    assert {rule.id for rule in Verdicts(tmp_path).look()} == known


def test_patterns_that_are_too_large_together_are_a_wrong_setting() -> None:
    """Each of them is well alone; RE2 has a bound for all."""
    bound = options(case_sensitive=False)
    bound.max_mem = 1 << 16
    patterns = re2.Set.SearchSet(bound)
    for number in range(200):
        patterns.Add(f"x{number}(ab?c){{90}}")
    with pytest.raises(BadSetting, match="too large for RE2"):
        compile_set(patterns)


def test_a_pattern_is_told_while_its_attempts_are_behind(tmp_path: Path) -> None:
    """Occurrences are known, and not yet where they ran."""
    data = make_folder(tmp_path, [make_batch([failing(n, REFUSED) for n in range(3)])])
    with closing(sqlite3.connect(data / "views.db")) as views, views:
        views.execute("DELETE FROM attempt")
    with serving(data) as client:
        (item,) = client.get("/api/v1/errors").json()["items"]
        told = client.get(f"/api/v1/errors/{item['fingerprint']}")
    assert told.status_code == 200, told.text
    example = told.json()["example"]["first"]
    assert (told.json()["count"], told.json()["hosts"]) == (3, [])
    assert (example["event_id"], example["position"]) == (None, "0")

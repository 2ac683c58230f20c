"""The testing kit: failures that are provoked, streams of them, and what is recorded well."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from projections.errors.assessment import assess
from projections.errors.classify.classifier import make_classifier
from projections.errors.record import Record
from service.cli.main import app
from service.kit.compliance import CHECKS
from service.kit.failures import Failures, provoking
from service.kit.stream import Plan, Window, planned
from spanledger_sdk.outcome import problem_of
from tests.captures import capture_files, read_capture
from tests.events import make_batch, make_span
from tests.otlp import make_span as wire_span
from tests.otlp import pair, traces
from tests.views import make_folder


@pytest.fixture(scope="module")
def failures() -> Iterator[Failures]:
    """Failures that can be provoked."""
    with provoking() as found:
        yield found


def test_each_provoked_error_is_of_its_category(failures: Failures) -> None:
    """By the rules that classify what real programs send."""
    classifier = make_classifier()
    wrong = []
    for category, provoke in failures.every():
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any kind of them
            provoke()
        problem = problem_of(caught.value)
        made = assess(Record(problem.type, problem.message, problem.stack), classifier)
        if made.category != category:
            wrong.append((category, made.category, problem.type, problem.message))
    assert not wrong


def test_a_plan_is_a_function_of_its_seed() -> None:
    """And says what was asked for: rates, weights, retries."""
    plan = Plan(2000, 100.0, 0.3, {"network": 3, "timeout": 1}, 2, 0.5, seed=4)
    runs = list(planned(plan))
    assert runs == list(planned(plan))
    assert runs != list(planned(plan._replace(seed=5)))
    failed = [one for one in runs if one.ends[0] is not None]
    assert 500 < len(failed) < 700
    assert 0.7 < sum(one.ends[0] == "network" for one in failed) / len(failed) < 0.8
    assert max(len(one.ends) for one in runs) == 3
    assert sum(one.ends[-1] is not None for one in runs) > 50
    assert runs[-1].begins_s == pytest.approx(19.99)


def test_in_an_outage_nothing_is_well() -> None:
    """And outside of it nothing fails that should not."""
    plan = Plan(100, 10.0, 0.0, {"network": 1}, 1, 1.0, [Window(2, 3, 1.0)])
    for one in planned(plan):
        ends = ("network", "network") if 2 <= one.begins_s < 5 else (None,)
        assert tuple(one.ends) == ends


@pytest.mark.parametrize(
    ("words", "told"),
    [(["--mode", "nets"], "--mode nets: write CATEGORY"),
     (["--mode", "network=-1"], "--mode network=-1"),
     (["--outage", "5"], "--outage 5: write START+SECONDS"),
     (["--burst", "-1+3"], "--burst")],
)  # fmt: skip
def test_wrong_options_are_told(words: list[str], told: str) -> None:
    """With what may be written, before anything is sent."""
    done = CliRunner().invoke(app, ["simulate", *words])
    assert done.exit_code == 2
    assert told in done.stderr


class Answered:
    """What `validate --json` said."""

    def __init__(self, *words: str) -> None:
        self.done = CliRunner().invoke(app, ["validate", "--json", *words])
        self.report: dict[str, Any] = json.loads(self.done.stdout) if self.done.stdout else {}

    @property
    def wrong(self) -> set[str]:
        return {item["check"] for item in self.report["items"] if not item["ok"]}


def spans_in(path: Path, *spans: Any) -> str:
    path.write_bytes(traces(*spans).SerializeToString())
    return str(path)


def test_what_says_nothing_of_itself_is_told_what_to_fix(tmp_path: Path) -> None:
    """Task alone, without run, number, error; each fix names the attribute."""
    failed = wire_span(attributes=[pair("task.id", "t")])
    failed.status.code = 2
    found = Answered(spans_in(tmp_path / "x.binpb", failed))
    assert {"identity.run", "retries.number", "error.type", "error.stack"} <= found.wrong
    assert found.report["score"] < 60
    fixes = {item["check"]: item["fix"] for item in found.report["items"]}
    assert "`task.run.id`" in fixes["identity.run"]
    assert fixes["identity.task"] is None


def test_a_missing_number_is_a_fault_of_its_run(tmp_path: Path) -> None:
    """1 and 3 without 2."""
    spans = [
        wire_span(
            span_id=bytes([n]) * 8,
            attributes=[pair("task.id", "t"), pair("task.run.id", "r"), pair("task.attempt", n)],
        )
        for n in (1, 3)
    ]
    assert "retries.order" in Answered(spans_in(tmp_path / "x.binpb", *spans)).wrong


def test_real_orchestrators_can_be_validated(tmp_path: Path) -> None:
    """Their captures hold attempts by the shipped rules; none is perfect, none worthless."""
    file = next(one for one in capture_files("traces") if "celery" in str(one))
    (tmp_path / "celery.binpb").write_bytes(read_capture(file))
    found = Answered(str(tmp_path / "celery.binpb"))
    assert 20 < found.report["score"] <= 100
    assert found.report["attempts"] > 0


def test_a_trace_and_an_answer_can_be_validated(tmp_path: Path) -> None:
    """Of a data folder; both tell the same attempt."""
    span = make_span(task="t", run="r", attempt=1)
    data = str(make_folder(tmp_path / "data", [make_batch([span])]))
    by_trace = Answered(span.trace_id.hex(), "--data", data)
    listed = CliRunner().invoke(app, ["attempts", "--json", "--data", data])
    (tmp_path / "a.json").write_text(listed.stdout)
    by_answer = Answered(str(tmp_path / "a.json"))
    assert by_trace.report["attempts"] == by_answer.report["attempts"] == 1
    assert by_trace.report["score"] == by_answer.report["score"] == 100.0


def test_a_pipeline_may_ask_for_a_score(tmp_path: Path) -> None:
    """Exit code 1 below it; 3 where there is nothing to check."""
    file = spans_in(tmp_path / "x.binpb", wire_span(attributes=[pair("task.id", "t")]))
    assert Answered(file, "--at-least", "10").done.exit_code == 0
    assert Answered(file, "--at-least", "99").done.exit_code == 1
    empty = spans_in(tmp_path / "y.binpb", wire_span(attributes=[]))
    assert Answered(empty).done.exit_code == 3
    (tmp_path / "z.json").write_text('{"items": [3]}')
    assert Answered(str(tmp_path / "z.json")).done.exit_code == 2


def test_the_page_names_every_check_with_its_weight() -> None:
    """Weights add up to 105, which the mean divides by."""
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
    for check in CHECKS:
        assert f"| `{check.id}` | {check.weight} |" in page


def test_a_random_choice_is_provoked(failures: Failures) -> None:
    """By the generator that is given."""
    for category in failures.categories:
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any kind of them
            failures.provoke(category, random.Random(1))
        assert not isinstance(caught.value, AssertionError)

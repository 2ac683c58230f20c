"""How new a finished run is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.query.records import Failure
from projections.views.percepts.novelty import Reason, novelty, reasons
from projections.views.runs.question import Run

SECOND_NS = 1_000_000_000
_ZERO: dict[str, Any] = {
    field.name: None for field in msgspec.structs.fields(Run) if field.required
}
weights = st.lists(st.floats(0, 1), max_size=6)
durations = st.lists(st.integers(1, 10**13), min_size=0, max_size=50)


def make_run(status: str = "completed", seconds: float = 1.0, **changes: Any) -> Run:
    """A run that started at second 100."""
    given: dict[str, Any] = {
        "status": status, "total_execution_ns": int(seconds * SECOND_NS),
        "first_started_ns": 100 * SECOND_NS,
    }  # fmt: skip
    return Run(**_ZERO | given | changes)


def kinds(run: Run, before: list[Run], first_seen_ns: int | None = None) -> dict[str, float]:
    """The reasons by kind."""
    return {reason.kind: reason.weight for reason in reasons(run, before, first_seen_ns)}


def of(weights: list[float]) -> float:
    """The novelty of reasons with these weights."""
    return novelty(Reason(kind="first_run", weight=each, sentence="") for each in weights)


@given(weights, st.floats(0, 1))
def test_a_reason_more_never_makes_less_new(given_: list[float], more: float) -> None:
    """Novelty is a share, 0 without reasons, and grows with each."""
    assert of([]) == 0
    assert 0 <= of(given_) <= of([*given_, more]) <= 1
    assert of([more]) == pytest.approx(more, abs=1e-4)
    assert of(given_[::-1]) == pytest.approx(of(given_), abs=1e-4)


@given(durations, st.integers(1, 10**13), st.integers(1, 1000))
@settings(deadline=None)
def test_unusual_is_relative(before: list[int], own: int, factor: int) -> None:
    """If everything takes so many times as long, the same runs are unusual, as much."""

    def told(times: int) -> dict[str, float]:
        ended = [make_run(total_execution_ns=each * times) for each in before]
        return kinds(make_run(total_execution_ns=own * times), ended)

    assert told(factor) == pytest.approx(told(1), abs=2e-4)


@given(st.integers(0, 50), st.sampled_from(["completed", "failed", "cancelled"]))
def test_the_same_again_is_not_new(count: int, status: str) -> None:
    """A run as all before it has no reason, whatever they were; the first one has that."""
    before = [make_run(status)] * count
    told = kinds(make_run(status), before)
    assert told == ({} if count else {"first_run": 0.3})


def test_a_failure_is_newer_the_longer_all_went_well() -> None:
    """From five successes in a row on; one failure among them begins the count anew."""
    well = [make_run()] * 40
    assert kinds(make_run("failed"), well[:4]) == {}
    few, many = kinds(make_run("failed"), well[:5]), kinds(make_run("timed_out"), well)
    assert few == {"first_failure": 0.3333}
    assert many == {"first_failure": 0.8}
    assert kinds(make_run("failed"), [make_run("failed"), *well]) == {}
    assert kinds(make_run("cancelled"), well) == {}


def test_a_success_after_failures_is_told() -> None:
    """From three failures in a row on."""
    assert kinds(make_run(), [make_run("failed")] * 2) == {}
    assert kinds(make_run(), [make_run("abandoned")] * 6) == {"first_success": 0.5}


def test_a_pattern_is_new_in_the_run_that_met_it_first() -> None:
    """Not in a later one, and not where it was seen before the run began."""
    failed = make_run("failed", error=Failure(type="KeyError", fingerprint="f"))
    before = [make_run("failed")]
    assert kinds(failed, before, 100 * SECOND_NS) == {"new_pattern": 0.9}
    assert kinds(failed, before, 99 * SECOND_NS) == {}
    assert "KeyError" in reasons(failed, before, 100 * SECOND_NS)[0].sentence


def test_an_unusual_duration_says_what_is_usual() -> None:
    """Longer or shorter, of completed runs alone, once ten of them say what is usual."""
    before = [make_run(seconds=1 + number % 3 / 10) for number in range(12)]
    assert kinds(make_run(seconds=1.2), before) == {}
    (slow,) = reasons(make_run(seconds=60), before, None)
    assert slow.kind == "unusual_duration"
    assert "took 1m 00s, longer" in slow.sentence
    (quick,) = reasons(make_run(seconds=0.01), before, None)
    assert "shorter" in quick.sentence
    assert 0.3 <= quick.weight < 1
    assert kinds(make_run("cancelled", seconds=60), before) == {}
    assert kinds(make_run(seconds=60), before[:9]) == {}

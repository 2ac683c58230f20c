"""What a policy would have changed of a run."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.policies.reading import read_policies
from projections.policies.replaying import PastChances, Tried, replay, tried_of
from projections.policies.resolving import PolicySet
from projections.policies.rule import Case

CASE = Case(category="network", fingerprint="f")


def at_most(attempts: int) -> PolicySet:
    """Policies that allow so many, with pauses of 2 s."""
    return read_policies(
        f'inherit = false\n[defaults]\nretry = "transient"\nmax_attempts = {attempts}\n'
        'backoff = { kind = "constant", base_s = 2 }\n', "p",
    )  # fmt: skip


def run_of(ends: str) -> list[Tried]:
    """Attempts of 10 s with pauses of 5 s: `f` fails, `c` completes, `x` is cancelled."""
    words = {"f": "failed", "c": "completed", "x": "cancelled"}
    return [
        Tried(n + 1, words[end], n * 15.0, 10.0, 5.0 if n else 0.0, CASE, True)
        for n, end in enumerate(ends)
    ]


PAST = PastChances([run_of("fc")] * 30 + [run_of("ff")] * 10)
NONE = PastChances([])


def test_the_same_policy_changes_only_pauses() -> None:
    """Where the past did as the policy would."""
    effect = replay(at_most(3), run_of("ffc"), PAST)
    assert (effect.changed_runs, effect.attempts_saved, effect.runs_lost_high) == (0, 0, 0)
    assert effect.waited_s == -6.0


def test_an_earlier_end_saves_attempts_and_loses_the_run() -> None:
    """For certain: history knows that it completed."""
    effect = replay(at_most(1), run_of("ffc"), PAST)
    assert (effect.attempts_saved, effect.busy_saved_s, effect.waited_s) == (2, 20.0, -10.0)
    assert (effect.runs_lost_low, effect.runs_lost_high) == (1, 1)


def test_an_earlier_end_of_a_run_that_failed_anyway_loses_nothing() -> None:
    """It is only cheaper."""
    effect = replay(at_most(1), run_of("fff"), PAST)
    assert (effect.attempts_saved, effect.runs_lost_high) == (2, 0)


def test_a_later_end_wins_what_such_retries_won() -> None:
    """The share of the past, within its interval."""
    effect = replay(at_most(2), run_of("f"), PAST)
    assert effect.runs_won == pytest.approx(0.75)
    assert 0.5 < effect.runs_won_low < 0.75 < effect.runs_won_high < 0.9
    assert (effect.attempts_spent, effect.busy_spent_s, effect.waited_s) == (1.0, 10.0, 2.0)


def test_without_any_such_retry_everything_is_possible() -> None:
    """And nothing is expected."""
    effect = replay(at_most(4), run_of("f"), NONE)
    assert (effect.runs_won, effect.runs_won_low, effect.runs_won_high) == (0, 0, 1)
    assert (effect.attempts_spent_low, effect.attempts_spent_high) == (1, 3)


def within(seconds: float, attempts: int, more: str = "") -> PolicySet:
    """Policies that give attempts so long, and allow so many."""
    return read_policies(
        f'inherit = false\n[defaults]\nretry = "transient"\nmax_attempts = {attempts}\n'
        f"timeout = {{ attempt_s = {seconds}, factor = 2, cap_s = 60 }}\n{more}", "p",
    )  # fmt: skip


def test_a_shorter_timeout_loses_runs_that_took_longer() -> None:
    """For certain where nothing follows; perhaps where another attempt may be quicker."""
    alone = replay(within(4, 1), run_of("c"), NONE)
    assert (alone.attempts_cut, alone.changed_runs, alone.busy_saved_s) == (1, 1, 6.0)
    assert (alone.runs_lost_low, alone.runs_lost_high, alone.attempts_spent_high) == (1, 1, 0)
    again = replay(within(4, 3), run_of("c"), NONE)
    assert (again.runs_lost_low, again.runs_lost_high, again.runs_won_high) == (0, 1, 0)
    assert (again.attempts_spent_low, again.attempts_spent_high) == (1, 2)


def test_a_timeout_that_all_keep_to_changes_nothing() -> None:
    """Nor one that attempts were ended by, a little late."""
    assert replay(within(10, 3), run_of("ffc"), PAST).changed_runs == 0
    late = [one._replace(status="timed_out", duration_s=4.1) for one in run_of("ff")]
    effect = replay(within(4, 2), late, PAST)
    assert (effect.attempts_cut, effect.changed_runs, effect.busy_saved_s) == (0, 0, 0.0)


def test_failures_that_a_timeout_cuts_take_less_time() -> None:
    """The run goes on as it did, if timeouts are tried again; else it ends there."""
    run = [one._replace(cost_usd=1.0) for one in run_of("ffc")]
    quick = [*run[:2], run[2]._replace(duration_s=1.0)]
    effect = replay(within(5, 3), quick, PAST)
    assert (effect.attempts_cut, effect.busy_saved_s, effect.cost_saved_usd) == (2, 10.0, 1.0)
    assert (effect.attempts_saved, effect.runs_lost_high) == (0, 0)
    never = '[[rule]]\nid = "t"\nwhen = { category = "timeout" }\nretry = "never"\n'
    ended = replay(within(5, 3, never), quick, PAST)
    assert (ended.attempts_cut, ended.attempts_saved, ended.busy_saved_s) == (1, 2, 16.0)
    assert (ended.runs_lost_low, ended.runs_lost_high) == (1, 1)


def test_a_longer_timeout_after_a_timeout_holds() -> None:
    """The action `extend_timeout` gives the second attempt twice as long."""
    extending = within(5, 3, 'actions = ["extend_timeout"]\n')
    effect = replay(extending, run_of("fc"), PAST)
    assert (effect.attempts_cut, effect.runs_lost_high) == (1, 0)
    assert replay(within(5, 3), run_of("fc"), PAST).runs_lost_high == 1


@given(st.lists(st.sampled_from(["f", "fc", "ff", "ffc", "fff", "x", "fx", "c"]), max_size=20),
       st.integers(1, 6), st.sampled_from([None, 4, 12]))  # fmt: skip
def test_bounds_hold_what_is_expected(past: list[str], most: int, timeout_s: int | None) -> None:
    """Of any history; a run is either saved attempts of, or given more."""
    policies = at_most(most) if timeout_s is None else within(timeout_s, most)
    runs = [run_of(ends) for ends in past]
    chances = PastChances(runs)
    for attempts in runs:
        effect = replay(policies, attempts, chances)
        assert effect.runs_lost_low <= effect.runs_lost_high <= 1
        assert effect.runs_won_low - 1e-9 <= effect.runs_won <= effect.runs_won_high + 1e-9
        assert effect.attempts_spent_low <= effect.attempts_spent + 1e-9 or effect.runs_won == 0
        assert effect.attempts_spent <= effect.attempts_spent_high + 1e-9
        assert not (effect.attempts_saved and effect.attempts_spent)
        assert effect.attempts_saved <= max(len(attempts) - most, 0)


def test_what_the_api_tells_is_an_attempt() -> None:
    """Pauses are from end to start; clocks that ran back make none."""
    record: dict[str, Any] = {
        "attempt": 1, "status": "failed", "started_ns": 10**9, "duration_s": 2.0, "task_id": "t",
        "task_name": None, "component": "c", "run_id": "r",
        "error": {"category": "network", "transient": True, "fingerprint": "f"},
    }  # fmt: skip
    first = tried_of(record, None, environment="prod")
    again = {**record, "attempt": 2, "started_ns": 7 * 10**9, "error": None}
    second = tried_of(again, first, environment="prod")
    assert (first.case.category, first.transient, first.case.environment) == (
        "network", True, "prod",
    )  # fmt: skip
    assert (second.wait_s, second.case.category) == (4.0, "unknown")
    assert tried_of({**again, "duration_s": -1.0, "started_ns": 0}, first).wait_s == 0.0


def test_what_an_attempt_says_wins_over_what_is_assumed() -> None:
    """Its environment and cost; an hour's price is for those that say no cost."""
    record: dict[str, Any] = {
        "attempt": 1, "status": "failed", "started_ns": 10**9, "duration_s": 36.0, "task_id": "t",
        "task_name": None, "component": "c", "run_id": "r", "error": None,
        "environment": "dev", "cost_usd": 0.0,
    }  # fmt: skip
    told = tried_of(record, None, environment="prod", usd_per_hour=100.0)
    assert (told.case.environment, told.cost_usd) == ("dev", 0.0)
    silent = {**record, "environment": None, "cost_usd": None}
    assumed = tried_of(silent, None, environment="prod", usd_per_hour=100.0)
    assert (assumed.case.environment, assumed.cost_usd) == ("prod", 1.0)
    assert tried_of(silent, None).cost_usd is None


def test_cost_is_that_of_the_attempts_themselves() -> None:
    """Saved: theirs; spent: as those of the run that say one cost on average, within bounds."""
    costs = (1.0, None, 3.0)
    run = [one._replace(cost_usd=usd) for one, usd in zip(run_of("fff"), costs, strict=True)]
    fewer = replay(at_most(1), run, NONE)
    assert (fewer.cost_saved_usd, fewer.attempts_with_cost) == (3.0, 2)
    more = replay(at_most(5), run, NONE)
    assert (more.cost_spent_usd, more.cost_spent_usd_low, more.cost_spent_usd_high) == (4, 2, 4)
    assert (more.busy_spent_s_low, more.busy_spent_s_high) == (10.0, 20.0)


def test_what_never_helped_ends_runs_in_the_past_as_it_would_now() -> None:
    """A policy that goes by evidence finds it in the history that is replayed."""
    runs = [run_of("fff")] * 60
    policies = read_policies(
        'inherit = false\n[defaults]\nretry = "transient"\nmax_attempts = 5\n'
        "evidence = { min_success = 0.1, min_samples = 50 }\n", "p",
    )  # fmt: skip
    assert replay(policies, runs[0], PastChances(runs)).attempts_saved == 2
    assert replay(policies, runs[0], PastChances(runs[:40])).attempts_saved == 0

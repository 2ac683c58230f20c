"""What a policy would have changed of the past: run by run, with bounds where history can't tell.

Where the policy ends a run earlier, history knows what is saved and lost. Where it goes on longer,
nobody knows what would have become of it: the share of such retries that succeeded elsewhere in the
same history gives an expectation and, by its interval, bounds; without any, everything is possible.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec

from projections.policies.chances import Chance, chance
from projections.policies.decision import Decision, Failure, decide
from projections.policies.resolving import PolicySet
from projections.policies.rule import Case

FAILED: Final = frozenset({"failed", "timed_out", "abandoned"})
_LONGEST: Final = 1000
"""Attempts beyond the last one that are thought through; policies allow no more."""


class Tried(NamedTuple):
    """An attempt of the past. Times are seconds; `wait_s` is the pause before it."""

    number: int
    status: str
    started_s: float
    duration_s: float
    wait_s: float
    case: Case
    transient: bool | None


class Effect(msgspec.Struct, kw_only=True):
    """What a policy would have changed; sums over runs. `…_low` and `…_high` are bounds."""

    runs: int = 0
    attempts: int = 0
    changed_runs: int = 0
    attempts_saved: int = 0
    attempts_spent: float = 0.0
    attempts_spent_low: int = 0
    attempts_spent_high: int = 0
    runs_lost_low: int = 0
    runs_lost_high: int = 0
    runs_won: float = 0.0
    runs_won_low: float = 0.0
    runs_won_high: float = 0.0
    busy_saved_s: float = 0.0
    busy_spent_s: float = 0.0
    waited_s: float = 0.0  # more than in the past; negative: less

    def add(self, other: "Effect") -> None:
        """Count another one in."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class PastChances:
    """What came of retries within the history that is replayed."""

    def __init__(self, runs: Iterable[Sequence[Tried]]) -> None:
        self._counts: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0])
        for attempts in runs:
            for before, after in pairwise(attempts):
                if before.status in FAILED and after.status in FAILED | {"completed"}:
                    for key in _keys(before.case, after.number):
                        self._counts[key][0] += 1
                        self._counts[key][1] += after.status == "completed"

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`: of the pattern, else of the category."""
        for basis, key in zip(("pattern", "category"), _keys(case, attempt), strict=True):
            tried, succeeded = self._counts.get(key, (0, 0))
            if tried:
                return chance("pattern" if basis == "pattern" else "category", attempt, tried,
                              succeeded)  # fmt: skip
        return None


def _keys(case: Case, attempt: int) -> tuple[tuple[str, str, int], tuple[str, str, int]]:
    return ("pattern", case.fingerprint, attempt), ("category", case.category, attempt)


def replay(policies: PolicySet, attempts: Sequence[Tried], chances: PastChances) -> Effect:
    """What a policy would have changed of one run, whose attempts are in order."""
    effect = Effect(runs=1, attempts=len(attempts))
    for place, tried in enumerate(attempts):
        if tried.status not in FAILED:
            continue
        decision = _decided(policies, tried, tried.number, attempts[0].started_s)
        rest = attempts[place + 1 :]
        if rest and not decision.retry:
            _stopped(effect, decision, rest)
            break
        if rest:
            effect.waited_s += (decision.delay_s or 0.0) - rest[0].wait_s
        elif decision.retry:
            _went_on(effect, policies, attempts, chances)
    return effect


def _decided(policies: PolicySet, tried: Tried, number: int, begun_s: float) -> Decision:
    elapsed_s = max(tried.started_s + tried.duration_s - begun_s, 0.0)
    failure = Failure(
        case=tried.case, transient=tried.transient, attempts=number, elapsed_s=elapsed_s
    )
    return decide(policies, failure)


def _stopped(effect: Effect, decision: Decision, rest: Sequence[Tried]) -> None:
    """The policy would not have made the attempts that followed."""
    lost = rest[-1].status == "completed"
    effect.changed_runs = 1
    effect.attempts_saved = len(rest)
    effect.busy_saved_s = sum(one.duration_s for one in rest)
    effect.waited_s -= sum(one.wait_s for one in rest)
    effect.runs_lost_high = int(lost)
    effect.runs_lost_low = int(lost and not decision.repair)  # an action might have helped


def _went_on(
    effect: Effect, policies: PolicySet, attempts: Sequence[Tried], chances: PastChances
) -> None:
    """The policy would have gone on after the last failure."""
    last, begun_s = attempts[-1], attempts[0].started_s
    mean_s = sum(one.duration_s for one in attempts) / len(attempts)
    left, left_least, left_most = 1.0, 1.0, 1.0  # how likely the run has not completed yet
    effect.changed_runs, number, clock = 1, last.number, last
    while number < last.number + _LONGEST:
        decision = _decided(policies, clock, number, begun_s)
        if not decision.retry:
            break
        number += 1
        seen = chances.of(last.case, number)
        share, low, high = (0.0, 0.0, 1.0) if seen is None else (seen.share, seen.low, seen.high)
        pause_s = decision.delay_s or 0.0
        effect.attempts_spent += left
        effect.attempts_spent_high += 1
        effect.waited_s += left * pause_s
        left, left_least, left_most = (
            left * (1 - share), left_least * (1 - high), left_most * (1 - low),
        )  # fmt: skip
        clock = clock._replace(started_s=clock.started_s + clock.duration_s + pause_s)
    effect.attempts_spent_low = 1  # the first of them may be well
    effect.busy_spent_s = effect.attempts_spent * mean_s
    effect.runs_won, effect.runs_won_low, effect.runs_won_high = (
        1 - left, 1 - left_most, 1 - left_least,
    )  # fmt: skip


def tried_of(record: dict[str, Any], before: "Tried | None", environment: str) -> Tried:
    """An attempt as the API tells it.

    Args:
        before: the attempt before it in its run.
        environment: of all of them; the views don't tell it.
    """
    error = record["error"] or {}
    duration_s = max(record["duration_s"] or 0.0, 0.0)
    started_s = (record["started_ns"] or 0) / 1e9
    wait_s = 0.0 if before is None else started_s - before.started_s - before.duration_s
    case = Case(
        fingerprint=error.get("fingerprint") or "", category=error.get("category") or "unknown",
        task=record["task_id"], task_name=record["task_name"] or "",
        component=record["component"] or "", environment=environment,
    )  # fmt: skip
    return Tried(
        record["attempt"], record["status"], started_s, duration_s, max(wait_s, 0.0), case,
        error.get("transient"),
    )  # fmt: skip

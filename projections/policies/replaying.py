"""What a policy would have changed of the past: run by run, with bounds where history can't tell.

Where the policy ends a run earlier, history knows what is saved and lost. Where it goes on longer,
nobody knows what would have become of it: the share of such retries that succeeded elsewhere in the
same history gives an expectation and, by its interval, bounds; without any, everything is possible.
Where it gives an attempt less time than that took, the attempt is cut: it times out then, and what
the policy says of a timeout holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import structs

from projections.policies.chances import ENOUGH, Basis, Chance, chance
from projections.policies.decision import Decision, Failure, decide
from projections.policies.resolving import PolicySet
from projections.policies.rule import Case

FAILED: Final = frozenset({"failed", "timed_out", "abandoned"})
TIMED_OUT: Final = "timed_out"
_LATE: Final = 1.05
"""Attempts that time out end a little late: up to so much, this same bound ended them."""
_LONGEST: Final = 1000
"""Attempts beyond the last one that are thought through; policies allow no more."""


class Tried(NamedTuple):
    """An attempt of the past. Times are seconds; `wait_s` is the pause before it.

    `cost_usd` is None where nobody knows what it cost.
    """

    number: int
    status: str
    started_s: float
    duration_s: float
    wait_s: float
    case: Case
    transient: bool | None
    cost_usd: float | None = None


class Effect(msgspec.Struct, kw_only=True):
    """What a policy would have changed; sums over runs. `…_low` and `…_high` are bounds."""

    runs: int = 0
    attempts: int = 0
    changed_runs: int = 0
    attempts_saved: int = 0
    attempts_cut: int = 0
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
    busy_spent_s_low: float = 0.0
    busy_spent_s_high: float = 0.0
    waited_s: float = 0.0  # more than in the past; negative: less
    attempts_with_cost: int = 0
    cost_saved_usd: float = 0.0
    cost_spent_usd: float = 0.0
    cost_spent_usd_low: float = 0.0
    cost_spent_usd_high: float = 0.0

    def add(self, other: "Effect") -> None:
        """Count another one in."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class PastChances:
    """What came of retries within the history that is replayed."""

    def __init__(self, runs: Iterable[Sequence[Tried]]) -> None:
        self._counts: defaultdict[_Key, list[int]] = defaultdict(lambda: [0, 0])
        for attempts in runs:
            for before, after in pairwise(attempts):
                if before.status in FAILED and after.status in FAILED | {"completed"}:
                    for key in _keys(before.case, after.number):
                        self._counts[key][0] += 1
                        self._counts[key][1] += after.status == "completed"

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`: of the pattern if there were enough, else of wider groups."""
        found: Chance | None = None
        for key in _keys(case, attempt):
            tried, succeeded = self._counts.get(key, (0, 0))
            if tried:
                found = chance(key[0], attempt, tried, succeeded)
            if tried >= ENOUGH:
                break
        return found


_Key = tuple[Basis, str, str, int]


def _keys(case: Case, attempt: int) -> tuple[_Key, _Key, _Key]:
    """The groups that a retry counts in, the narrowest first."""
    return (
        ("pattern", case.fingerprint, "", attempt),
        ("category and component", case.category, case.component, attempt),
        ("category", case.category, "", attempt),
    )


def replay(policies: PolicySet, attempts: Sequence[Tried], chances: PastChances) -> Effect:
    """What a policy would have changed of one run, whose attempts are in order."""
    priced = sum(one.cost_usd is not None for one in attempts)
    effect = Effect(runs=1, attempts=len(attempts), attempts_with_cost=priced)
    bound_s = _first_bound_s(policies, attempts[0].case)
    for place, past in enumerate(attempts):
        rest = attempts[place + 1 :]
        tried = _cut(effect, past, bound_s) if past.status in FAILED or not rest else past
        if tried.status not in FAILED:
            continue
        decision = _decided(policies, tried, tried.number, attempts[0].started_s, chances)
        bound_s = decision.timeout_s
        if rest and not decision.retry:
            _stopped(effect, decision, rest)
            break
        if rest:
            effect.waited_s += (decision.delay_s or 0.0) - rest[0].wait_s
        elif decision.retry:
            _went_on(effect, policies, [*attempts[:place], tried], chances)
        if past.status == "completed":
            _cut_short(effect, decision)
    return effect


def _first_bound_s(policies: PolicySet, case: Case) -> float | None:
    """How long a first attempt may take, when nothing is known of any error."""
    before = structs.replace(case, fingerprint="", category="unknown")
    return policies.policy(before).values["timeout.attempt_s"] or None


def _cut(effect: Effect, tried: Tried, bound_s: float | None) -> Tried:
    """The attempt as it would have been within this bound: ended by it, if it took longer."""
    ended_by_it = tried.status == TIMED_OUT and tried.duration_s <= (bound_s or 0.0) * _LATE
    cuttable = tried.status in FAILED or tried.status == "completed"
    if bound_s is None or tried.duration_s <= bound_s or ended_by_it or not cuttable:
        return tried
    effect.attempts_cut += 1
    effect.changed_runs = 1
    effect.busy_saved_s += tried.duration_s - bound_s
    cost_usd = tried.cost_usd
    if cost_usd is not None:
        cost_usd *= bound_s / tried.duration_s
        effect.cost_saved_usd += (tried.cost_usd or 0.0) - cost_usd
    case = tried.case
    if case.category != "timeout":
        case = structs.replace(case, fingerprint="", category="timeout")
    return tried._replace(
        status=TIMED_OUT, duration_s=bound_s, case=case, transient=True, cost_usd=cost_usd
    )


def _cut_short(effect: Effect, decision: Decision) -> None:
    """A run that completed, by an attempt that would have been cut: another one may be as slow."""
    effect.changed_runs = 1
    effect.runs_lost_high = 1
    effect.runs_lost_low = int(not decision.retry and not decision.repair)
    effect.runs_won = effect.runs_won_low = effect.runs_won_high = 0.0  # at best as it was


def _decided(
    policies: PolicySet, tried: Tried, number: int, begun_s: float, chances: PastChances
) -> Decision:
    elapsed_s = max(tried.started_s + tried.duration_s - begun_s, 0.0)
    failure = Failure(
        case=tried.case, transient=tried.transient, attempts=number, elapsed_s=elapsed_s
    )
    return decide(policies, failure, chances)


def _stopped(effect: Effect, decision: Decision, rest: Sequence[Tried]) -> None:
    """The policy would not have made the attempts that followed."""
    lost = rest[-1].status == "completed"
    effect.changed_runs = 1
    effect.attempts_saved = len(rest)
    effect.busy_saved_s += sum(one.duration_s for one in rest)
    effect.cost_saved_usd += sum(one.cost_usd or 0.0 for one in rest)
    effect.waited_s -= sum(one.wait_s for one in rest)
    effect.runs_lost_high = int(lost)
    effect.runs_lost_low = int(lost and not decision.repair)  # an action might have helped


def _went_on(
    effect: Effect, policies: PolicySet, attempts: Sequence[Tried], chances: PastChances
) -> None:
    """The policy would have gone on after the last failure."""
    last, begun_s = attempts[-1], attempts[0].started_s
    left, left_least, left_most = 1.0, 1.0, 1.0  # how likely the run has not completed yet
    effect.changed_runs, number, clock = 1, last.number, last
    while number < last.number + _LONGEST:
        decision = _decided(policies, clock, number, begun_s, chances)
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
    _spend(effect, attempts)
    effect.runs_won, effect.runs_won_low, effect.runs_won_high = (
        1 - left, 1 - left_most, 1 - left_least,
    )  # fmt: skip


def _spend(effect: Effect, attempts: Sequence[Tried]) -> None:
    """Time and cost of added attempts: each as those of the run were on average."""
    mean_s = sum(one.duration_s for one in attempts) / len(attempts)
    costs = [one.cost_usd for one in attempts if one.cost_usd is not None]
    mean_usd = sum(costs) / len(costs) if costs else 0.0
    least, most = effect.attempts_spent_low, effect.attempts_spent_high
    effect.busy_spent_s = effect.attempts_spent * mean_s
    effect.busy_spent_s_low, effect.busy_spent_s_high = least * mean_s, most * mean_s
    effect.cost_spent_usd = effect.attempts_spent * mean_usd
    effect.cost_spent_usd_low, effect.cost_spent_usd_high = least * mean_usd, most * mean_usd


def tried_of(
    record: dict[str, Any],
    before: "Tried | None",
    *,
    environment: str = "",
    usd_per_hour: float = 0.0,
) -> Tried:
    """An attempt as the API tells it.

    Args:
        before: the attempt before it in its run.
        environment: of those that say none.
        usd_per_hour: what an hour of those costs that say no cost; 0: nobody knows.
    """
    error = record["error"] or {}
    duration_s = max(record["duration_s"] or 0.0, 0.0)
    started_s = (record["started_ns"] or 0) / 1e9
    wait_s = 0.0 if before is None else started_s - before.started_s - before.duration_s
    case = Case(
        fingerprint=error.get("fingerprint") or "", category=error.get("category") or "unknown",
        task=record["task_id"], task_name=record["task_name"] or "",
        component=record["component"] or "",
        environment=record.get("environment") or environment,  # None: of an older service
    )  # fmt: skip
    cost_usd = record.get("cost_usd")
    if cost_usd is None and usd_per_hour:
        cost_usd = duration_s / 3600 * usd_per_hour
    return Tried(
        record["attempt"], record["status"], started_s, duration_s, max(wait_s, 0.0), case,
        error.get("transient"), cost_usd,
    )  # fmt: skip

"""What to do about a failed attempt: one more or not, after how long, with which remedies."""

from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import Meta

from projections.policies.backoff import Pause, pause_after
from projections.policies.chances import Chance, Chances, NoChances
from projections.policies.resolving import Origin, Policy, PolicySet
from projections.policies.rule import Case

NOTHING_KNOWN: Final = NoChances()
EXTEND: Final = "extend_timeout"
_PASSES: Final = {
    True: "it will pass",
    False: "it will not pass by itself",
    None: "nobody can tell",
}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed attempt, as far as decisions ask."""

    case: Case
    transient: bool | None = None
    attempts: int = 1  # made so far, the failed one included
    elapsed_s: float = 0.0  # since the run began
    retry_after_s: float | None = None  # what the peer asked for


class CircuitRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a component is to be left alone, and for how long."""

    failures: int
    window_s: float
    open_s: float


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy says of a failure, and why."""

    retry: Annotated[bool, Meta(description="Whether another attempt is worth making")]
    reason: Annotated[str, Meta(description="What decided, in a sentence")]
    delay_s: Annotated[
        float | None, Meta(description="How long to wait before it, drawn between the bounds")
    ]
    delay_min_s: float | None
    delay_max_s: float | None
    repair: Annotated[
        bool,
        Meta(description="Whether to try again if one of the actions succeeds, though not else"),
    ]
    actions: Annotated[
        tuple[str, ...], Meta(description="Remedies to try before the next attempt, in order")
    ]
    attempts: Annotated[int, Meta(description="Made so far")]
    max_attempts: Annotated[int, Meta(description="At most, the first one included")]
    timeout_s: Annotated[
        float | None, Meta(description="How long the next attempt may take; null: no bound")
    ]
    escalate: Annotated[bool, Meta(description="Whether people are to hear of it now")]
    escalate_to: str | None
    category: str
    transient: bool | None
    fingerprint: str | None
    circuit: CircuitRule | None
    statistics: Annotated[
        Chance | None, Meta(description="What came of such retries before; null: none was made")
    ]
    rules: Annotated[
        tuple[Origin, ...],
        Meta(description="The rules that made the settings, the most specific first"),
    ]
    policies: Annotated[str, Meta(description="The version of the policies that decided")]


class _Answer(NamedTuple):
    """Whether to go on, why, and after which pause."""

    retry: bool
    reason: str
    pause: Pause
    permanent: bool = False
    exhausted: bool = False


def decide(
    policies: PolicySet,
    failure: Failure,
    chances: Chances = NOTHING_KNOWN,
    *,
    luck: float = 0.5,
) -> Decision:
    """What to do about a failure.

    Args:
        chances: knows what came of earlier retries.
        luck: a random number, 0 to 1, that jitter is made of.
    """
    policy = policies.policy(failure.case)
    values = policy.values
    seen = chances.of(failure.case, failure.attempts + 1)
    answer = _answer(values, failure, seen)
    repair = not answer.retry and _may_repair(values, failure, answer)
    goes_on = answer.retry or repair
    escalate = _escalates(values, failure, answer)
    return Decision(
        retry=answer.retry, reason=answer.reason,
        delay_s=round(answer.pause.drawn(luck), 3) if goes_on else None,
        delay_min_s=answer.pause.least_s if goes_on else None,
        delay_max_s=answer.pause.most_s if goes_on else None,
        repair=repair, actions=values["actions"] if goes_on else (),
        attempts=failure.attempts, max_attempts=values["max_attempts"],
        timeout_s=_timeout_s(values, failure), escalate=escalate,
        escalate_to=(values["escalate.to"] or None) if escalate else None,
        category=failure.case.category, transient=failure.transient,
        fingerprint=failure.case.fingerprint or None, circuit=_circuit(values),
        statistics=seen, rules=policy.origins, policies=policies.digest,
    )  # fmt: skip


def _answer(values: Any, failure: Failure, seen: Chance | None) -> _Answer:
    pause = pause_after(failure.attempts, values)
    asked_s = failure.retry_after_s
    if asked_s is not None:
        pause = Pause(max(pause.least_s, asked_s), max(pause.most_s, asked_s))
    if refused := _not_worth(values, failure):
        reason, permanent = refused
        return _Answer(False, reason, pause, permanent=permanent)
    if used_up := _used_up(values, failure, seen, pause):
        return _Answer(False, used_up, pause, exhausted=True)
    of = f"attempt {failure.attempts + 1} of {values['max_attempts']}"
    return _Answer(True, f"{_PASSES[failure.transient]}: {of} follows", pause)


def _not_worth(values: Any, failure: Failure) -> tuple[str, bool] | None:
    """Why the policy tries no failure of this kind again, and whether it is sure of that."""
    word = values["retry"]
    if word == "never":
        return "the policy never retries here", True
    if word == "always" or failure.transient is True:
        return None
    known = failure.transient is False
    if not known and word == "unless_permanent":
        return None
    which = "what is transient" if word == "transient" else "what is not permanent"
    return f"{_PASSES[failure.transient]}, and the policy retries only {which}", known


def _used_up(values: Any, failure: Failure, seen: Chance | None, pause: Pause) -> str:
    """Which bound is reached; empty if none is."""
    most, asked_s, longest_s = values["max_attempts"], failure.retry_after_s, values["max_wait_s"]
    bound_s = values["max_elapsed_s"]
    if failure.attempts >= most:
        return f"{failure.attempts} of {most} attempts were made"
    if asked_s is not None and asked_s > longest_s:
        return f"the peer asked for {asked_s:g} s, and {longest_s:g} s is the longest"
    if bound_s and failure.elapsed_s + pause.least_s > bound_s:
        return f"the run would be beyond its bound of {bound_s:g} s"
    if seen is not None and _is_hopeless(values, seen):
        return (
            f"of {seen.tried} such retries {seen.succeeded} succeeded ({seen.basis}): "
            f"at most {seen.high:.1%} do"
        )
    return ""


def _is_hopeless(values: Any, seen: Chance) -> bool:
    enough = seen.tried >= values["evidence.min_samples"]
    return bool(enough and seen.high < values["evidence.min_success"])


def _may_repair(values: Any, failure: Failure, answer: _Answer) -> bool:
    """Whether an action that succeeds is reason enough for another attempt."""
    left = failure.attempts <= values["repairs"] and failure.attempts < values["max_attempts"]
    named = bool(values["actions"]) and values["retry"] != "never"
    return left and named and not answer.exhausted


def _escalates(values: Any, failure: Failure, answer: _Answer) -> bool:
    after = values["escalate.after_attempts"]
    if after and failure.attempts >= after:
        return True
    if answer.permanent and values["escalate.permanent"]:
        return True
    return bool(not answer.retry and not answer.permanent and values["escalate.exhausted"])


def _timeout_s(values: Any, failure: Failure) -> float | None:
    """How long the next attempt may take: longer after each timeout, up to the cap."""
    base_s = values["timeout.attempt_s"]
    if not base_s:
        return None
    if EXTEND not in values["actions"] or failure.case.category != "timeout":
        return float(base_s)
    try:
        extended_s = base_s * values["timeout.factor"] ** failure.attempts
    except OverflowError:
        extended_s = float("inf")
    return float(min(extended_s, values["timeout.cap_s"] or base_s))


def _circuit(values: Any) -> CircuitRule | None:
    if not values["circuit.failures"]:
        return None
    return CircuitRule(
        failures=values["circuit.failures"], window_s=values["circuit.window_s"],
        open_s=values["circuit.open_s"],
    )  # fmt: skip


def settings_of(policy: Policy) -> dict[str, Any]:
    """The settings of a policy, for people."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in policy.values.items()}

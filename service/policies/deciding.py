"""Decisions: a question in, by the policies in force and by what came of earlier retries."""

import random
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from projections.errors.classify.classifier import Classifier
from projections.errors.classify.rule import Severity
from projections.policies.asking import DecideQuestion, Look, nothing_known, understood
from projections.policies.chances import Chances, wilson
from projections.policies.decision import NOTHING_KNOWN, Decision, decide
from projections.policies.resolving import PolicySet
from projections.policies.rule import Case
from projections.views.recovery_actions.question import ActionRow


class Helped(msgspec.Struct, frozen=True, kw_only=True):
    """What an action came to before, for failures of this category in this component."""

    action: str
    tried: int
    succeeded: int
    low: Annotated[float, Meta(description="The true share is above this with 97.5 % (Wilson)")]
    high: float


class Decided(Decision, frozen=True, kw_only=True):
    """A decision, with what is known of the error. `actions` go by past success, the best first;
    those of which nothing is known keep their places behind."""

    severity: Severity | None
    suggestion: str | None
    helped: Annotated[list[Helped], Meta(description="What the actions came to before")]


PastActions = Callable[[Case, str], ActionRow | None]


def no_actions(case: Case, action: str) -> ActionRow | None:
    """Where there is no history to look into."""
    return None


def answer(
    question: DecideQuestion,
    policies: PolicySet,
    classifier: Classifier,
    *,
    chances: Chances = NOTHING_KNOWN,
    look: Look = nothing_known,
    past: PastActions = no_actions,
    clock: Callable[[], float] = time.time,
    luck: Callable[[], float] = random.random,
) -> Decided:
    """What is to be done about a failed attempt.

    Args:
        chances: knows what came of earlier retries.
        look: knows the patterns of the log.
        past: knows what actions came to.
        clock: now, in seconds since 1970.
        luck: a random number, 0 to 1, for jitter.
    """
    asked = understood(question, classifier, clock(), look)
    made = decide(policies, asked.failure, chances, luck=luck())
    helped = [_helped(row) for name in made.actions if (row := past(asked.failure.case, name))]
    best = {one.action: one.succeeded / one.tried for one in helped if one.tried}
    actions = tuple(sorted(made.actions, key=lambda name: -best.get(name, 0.0)))
    return Decided(
        **(msgspec.structs.asdict(made) | {"actions": actions}),
        severity=asked.known.severity,
        suggestion=asked.known.suggestion,
        helped=helped,
    )


def _helped(row: ActionRow) -> Helped:
    low, high = wilson(row.succeeded, row.tried)
    return Helped(
        action=row.action, tried=row.tried, succeeded=row.succeeded,
        low=round(low, 6), high=round(high, 6),
    )  # fmt: skip

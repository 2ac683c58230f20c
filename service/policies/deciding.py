"""Decisions: a question in, by the policies in force and by what came of earlier retries."""

import random
import time
from collections.abc import Callable

import msgspec

from projections.errors.classify.classifier import Classifier
from projections.errors.classify.rule import Severity
from projections.policies.asking import DecideQuestion, Look, nothing_known, understood
from projections.policies.chances import Chances
from projections.policies.decision import NOTHING_KNOWN, Decision, decide
from projections.policies.resolving import PolicySet


class Decided(Decision, frozen=True, kw_only=True):
    """A decision, with what is known of the error."""

    severity: Severity | None
    suggestion: str | None


def answer(
    question: DecideQuestion,
    policies: PolicySet,
    classifier: Classifier,
    *,
    chances: Chances = NOTHING_KNOWN,
    look: Look = nothing_known,
    clock: Callable[[], float] = time.time,
    luck: Callable[[], float] = random.random,
) -> Decided:
    """What is to be done about a failed attempt.

    Args:
        chances: knows what came of earlier retries.
        look: knows the patterns of the log.
        clock: now, in seconds since 1970.
        luck: a random number, 0 to 1, for jitter.
    """
    asked = understood(question, classifier, clock(), look)
    made = decide(policies, asked.failure, chances, luck=luck())
    return Decided(
        **msgspec.structs.asdict(made),
        severity=asked.known.severity,
        suggestion=asked.known.suggestion,
    )

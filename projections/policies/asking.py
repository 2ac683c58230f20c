"""What decisions are asked with: an error or its fingerprint, and where it happened."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from projections.errors.assessment import assess, record_of
from projections.errors.classify.classifier import Classifier
from projections.errors.classify.rule import Category, Severity
from projections.policies.backoff import retry_after_s
from projections.policies.decision import Failure
from projections.policies.rule import Case

TEXT: Final = 32_768
_RETRY_AFTER: Final = (
    "http.response.header.retry-after", "http.response.header.retry_after", "retry_after",
    "retry-after",
)  # fmt: skip
"""Attributes of an error in which instrumentations keep the header."""
Text = Annotated[str, Meta(max_length=TEXT)]


class AskedError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An error as a program has it."""

    type: Text | None = None
    message: str | None = None
    stacktrace: str | None = None
    attributes: dict[str, Any] = {}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an error already."""

    fingerprint: str = ""
    category: Category = "unknown"
    transient: bool | None = None
    severity: Severity | None = None
    suggestion: str | None = None


class DecideQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failed attempt: what is to be done about it?

    `error`, or a `fingerprint` that is known here, or at least a `category`.
    """

    error: Annotated[AskedError, Meta(description="The error; it is classified")] | None = None
    fingerprint: Annotated[Text, Meta(description="The error's pattern, if it is known")] | None = (
        None
    )
    category: Annotated[Category, Meta(description="Instead of what rules say")] | None = None
    transient: Annotated[bool, Meta(description="Instead of what rules say")] | None = None
    component: Annotated[Text, Meta(description="`service.name`")] = ""
    task: Annotated[Text, Meta(description="`task.id`")] = ""
    task_name: Text = ""
    environment: Annotated[Text, Meta(description="`deployment.environment.name`")] = ""
    attempts: Annotated[int, Meta(ge=1, le=1_000_000, description="Made so far")] = 1
    elapsed_s: Annotated[float, Meta(ge=0, description="Since the run began")] = 0.0
    retry_after: (
        Annotated[
            float | Annotated[str, Meta(max_length=128)],
            Meta(description="What the peer asked for: seconds, or a date of HTTP"),
        ]
        | None
    ) = None


Look = Callable[[str], Known | None]
"""What is known of a fingerprint."""


def nothing_known(fingerprint: str) -> Known | None:
    """Where there is no history to look into."""
    return None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A question, understood."""

    failure: Failure
    known: Known


def understood(
    question: DecideQuestion, classifier: Classifier, now_s: float, look: Look = nothing_known
) -> Asked:
    """The failure that a question tells of.

    Args:
        now_s: since 1970; a `Retry-After` that is a date is compared with it.
        look: knows the patterns of the log.
    """
    known = _known(question, classifier, look)
    case = Case(
        fingerprint=known.fingerprint, task=question.task, task_name=question.task_name,
        component=question.component, environment=question.environment, category=known.category,
    )  # fmt: skip
    failure = Failure(
        case=case, transient=known.transient, attempts=question.attempts,
        elapsed_s=question.elapsed_s, retry_after_s=_retry_after_s(question, now_s),
    )  # fmt: skip
    return Asked(failure=failure, known=known)


def _known(question: DecideQuestion, classifier: Classifier, look: Look) -> Known:
    known = Known()
    if question.error is not None:
        made = assess(record_of(msgspec.structs.asdict(question.error)), classifier)
        known = Known(
            fingerprint=made.fingerprint, category=made.category, transient=made.transient,
            severity=made.severity, suggestion=made.suggestion,
        )  # fmt: skip
    elif question.fingerprint:
        known = look(question.fingerprint) or known
    said: dict[str, Any] = {
        name: value
        for name in ("fingerprint", "category", "transient")
        if (value := getattr(question, name)) is not None
    }
    return msgspec.structs.replace(known, **said)


def _retry_after_s(question: DecideQuestion, now_s: float) -> float | None:
    if question.retry_after is not None:
        return retry_after_s(question.retry_after, now_s)
    attributes: Mapping[str, Any] = {} if question.error is None else question.error.attributes
    given = next((attributes[name] for name in _RETRY_AFTER if name in attributes), None)
    return retry_after_s(given, now_s)

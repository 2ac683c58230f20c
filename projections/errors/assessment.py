"""Everything that is said of one error: its identity, its category, and what to do."""

from collections.abc import Mapping
from typing import Any

import msgspec

from projections.errors.classify.classifier import Classifier
from projections.errors.classify.rule import Category, Severity
from projections.errors.classify.verdict import Verdict
from projections.errors.fingerprints.fingerprint import Fingerprint
from projections.errors.fingerprints.versions import CURRENT, version
from projections.errors.record import Record
from projections.errors.signature import signature_of
from projections.errors.suggest import suggestion_of


class Why(msgspec.Struct, frozen=True):
    """What the fingerprint was made of, and which rule decided the category."""

    version: int
    basis: str
    components: dict[str, str]
    rule: str | None  # None where no rule knew the error
    matched: str | None


class Assessment(msgspec.Struct, frozen=True):
    """An error as answers show it."""

    type: str | None
    message: str
    stack_hash: str | None
    fingerprint: str
    category: Category
    severity: Severity
    transient: bool | None
    confidence: float
    reason: str
    suggestion: str
    why: Why


def assess(record: Record, classifier: Classifier, number: int = CURRENT) -> Assessment:
    """What is known of an error.

    Args:
        number: the version of the fingerprint.

    Raises:
        BadInput: there is no such version.
    """
    signature = signature_of(record)
    made = version(number)(signature)
    verdict = classifier.classify(signature)
    thrown, why = signature.thrown, _why(number, made, verdict)
    return Assessment(
        record.type or thrown.type or None, record.message or thrown.template, made.stack_hash,
        made.digest, verdict.category, verdict.severity, verdict.transient, verdict.confidence,
        verdict.reason, suggestion_of(verdict, record), why,
    )  # fmt: skip


def _why(number: int, made: Fingerprint, verdict: Verdict) -> Why:
    rule, matched = verdict.rule or None, verdict.matched or None
    return Why(number, made.basis, dict(made.components), rule, matched)


def record_of(raw: Mapping[str, Any]) -> Record:
    """A record of a decoded line: `type`, `message`, `stacktrace`, `attributes`, any of them null.

    Texts may be of any kind, for senders put numbers and objects there.

    Raises:
        msgspec.ValidationError: `attributes` is no object.
    """
    attributes = raw.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise msgspec.ValidationError("Expected `object` - at `$.attributes`")
    kind, message, stack = (_text(raw.get(key)) for key in ("type", "message", "stacktrace"))
    return Record(kind, message, stack, attributes)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()

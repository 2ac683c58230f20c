"""What says that something was done about a failure: an event of a span, or a fact.

The event is named `task.recovery`; its attributes are those of `events.names.RECOVERY_…`. A fact
has the kind `task.recovery`, an attempt as its subject, and `action`, `outcome`, `duration_s`,
`category` and `component` in its payload. What names no action, or no outcome, tells nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from events import names
from events.schema import Fact, Span
from projections.runs.values import number_of, text_of

OUTCOMES: Final = frozenset({"succeeded", "failed", "skipped"})
LIMIT_CHARS: Final = 256
_SECOND_NS: Final = 1_000_000_000
_LONGEST_S: Final = 1e9


class RecoveryRow(NamedTuple):
    """A row of table `recovery_action`."""

    tenant: str
    time_ns: int
    partition: int
    position: int
    place: int
    action: str
    outcome: str
    duration_ns: int | None
    category: str
    component: str
    task_id: str
    run_id: str
    attempt: int | None


class Place(NamedTuple):
    """Where an event of the log stands."""

    tenant: str
    received_ns: int
    partition: int
    position: int


def told_by_span(span: Span, resource: Mapping[str, Any], at: Place) -> Iterator[RecoveryRow]:
    """The recoveries that the events of an ended span tell."""
    if not span.end_ns:
        return  # a snapshot: the ended span tells them again
    own = span.attributes
    component = _text(resource.get(names.SERVICE_NAME))
    for place, event in enumerate(span.events):
        said = event.attributes
        action = _text(said.get(names.RECOVERY_ACTION))
        outcome = _text(said.get(names.RECOVERY_OUTCOME))
        if event.name == names.RECOVERY_EVENT and action and outcome in OUTCOMES:
            yield RecoveryRow(
                at.tenant, event.time_ns or span.end_ns, at.partition, at.position, place, action,
                outcome, _ns(said.get(names.RECOVERY_DURATION)),
                _text(said.get(names.RECOVERY_CATEGORY)) or "unknown", component,
                _text(own.get(names.TASK_ID)), _text(own.get(names.TASK_RUN_ID)),
                number_of(own.get(names.TASK_ATTEMPT)),
            )  # fmt: skip


def told_by_fact(fact: Fact, at: Place) -> RecoveryRow | None:
    """The recovery that a fact tells."""
    if fact.kind != names.RECOVERY_EVENT or fact.version != 1:
        return None
    said, about = fact.payload, fact.subject
    action, outcome = _text(said.get("action")), _text(said.get("outcome"))
    if not action or outcome not in OUTCOMES:
        return None
    return RecoveryRow(
        at.tenant, fact.time_ns or at.received_ns, at.partition, at.position, 0, action,
        outcome, _ns(said.get("duration_s")), _text(said.get("category")) or "unknown",
        _text(said.get("component")), _text(about.get("task_id")), _text(about.get("run_id")),
        number_of(about.get("attempt")),
    )  # fmt: skip


def _text(value: Any) -> str:
    return (text_of(value) or "")[:LIMIT_CHARS]


def _ns(seconds: Any) -> int | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return int(seconds * _SECOND_NS) if 0 <= seconds < _LONGEST_S else None

"""One attempt of an observation to a fact: every field, its own or from what tells more of it."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from events.names import EXCEPTION_EVENT
from projections.mapping.join.outcome import outcomes_of
from projections.mapping.join.placed import Placed, RunKey
from projections.mapping.join.subject import Subject
from projections.mapping.rules.rule import Expression, Joined, Role, Value
from projections.runs import words
from projections.runs.values import number_of, text_of

MORE: Final = (
    "retry_of", "will_retry", "backfilled", "parents", "causes", "files_written",
    "retrieval_count", "retrieval_sources", "cost_usd",
)  # fmt: skip
_HARMLESS: Final = frozenset({words.COMPLETED, words.SKIPPED, words.RUNNING})


class Filling:
    """The values of an attempt's fields: its own, else those of the first detail that has one."""

    def __init__(self, subject: Subject, details: Sequence[Subject]) -> None:
        self.subject = subject
        self._all = (subject, *details)
        told = [detail.rule.fields for detail in details]
        self._fields = subject.rule.fields.keys() | set().union(*told) if told else (
            subject.rule.fields.keys()
        )  # fmt: skip

    def get(self, name: str) -> tuple[Any, str, Subject]:
        """A field's value, the text of its source, and whose rule said it."""
        if name not in self._fields:  # most fields of most rules
            return None, "", self.subject
        for subject in self._all:
            if name in subject.rule.fields:
                value, source = subject.field(name)
                if value is not None:
                    return value, source, subject
        return None, "", self.subject

    def text(self, name: str) -> str | None:
        """A field as text."""
        if name not in self._fields:
            return None
        return text_of(self.get(name)[0])

    def told(self) -> dict[str, Any]:
        """The attributes that tell which error it is: its own, else those of a detail."""
        return next((subject.it.told for subject in self._all if subject.it.told), {})

    def executor(self) -> str | None:
        """As some rule says; where none does: the tool, the model, or where the span came from."""
        if "executor" in self._fields:
            return self.text("executor")
        it = self.subject.it
        return self.text("tool") or self.text("model") or it.instance or it.host


def fact_of(
    filling: Filling, run: RunKey, fact_id: bytes, number: int | None, inferred: Sequence[str]
) -> Placed:
    """The fact that an attempt is."""
    subject, it, rule = filling.subject, filling.subject.it, filling.subject.rule
    outcome, if_later = outcomes_of(subject)
    seen, type_, message, stack = _error(
        filling, outcome.status, None if if_later is None else if_later.status
    )
    inferred = (*inferred, *(["status"] if outcome.inferred else []))
    more = {name: value for name in MORE if (value := filling.get(name)[0]) is not None}
    if outcome.will_retry is not None:
        more.setdefault("will_retry", outcome.will_retry)
    return Placed(
        run=run, fact_id=fact_id, event_id=it.event_id, partition=it.partition,
        position=it.position, trace_id=it.trace_id, span_id=it.span_id,
        parent_span_id=it.parent_span_id, start_ns=subject.start_ns,
        end_ns=0 if outcome.status == words.RUNNING else subject.end_ns,
        number=number, outcome=outcome, if_later=if_later,
        queues=rule.role is Role.ENQUEUE, system=rule.system, rule=rule.id,
        rule_version=rule.version, name=filling.text("task_name"), group=filling.text("group"),
        queued_at=filling.get("queued_at")[0],
        max_attempts=number_of(filling.get("max_attempts")[0]) or None,
        executor=filling.executor(), queue=filling.text("queue"), tool=filling.text("tool"),
        model=filling.text("model"), planner=filling.text("planner"),
        host=filling.text("host") or it.host, component=filling.text("component") or it.component,
        environment=filling.text("environment") or it.environment,
        error_seen=seen, error_type=type_, error_message=message, error_stack=stack,
        error_told=filling.told() if seen else {}, more=more, inferred=tuple(inferred),
        only_ends=rule.only_ends,
    )  # fmt: skip


def _error(
    filling: Filling, status: int, later: int | None
) -> tuple[int, str | None, str | None, str | None]:
    """Where an error was seen, its type, message and stack."""
    if status in _HARMLESS and (later is None or later in _HARMLESS):
        return 0, None, None, None
    (type_, from_type, by), (message, from_message, by_message) = (
        filling.get("error_type"), filling.get("error_message"),
    )  # fmt: skip
    told = _is_exception(by, "error_type", from_type)
    told = told or _is_exception(by_message, "error_message", from_message)
    text = text_of(message)
    if text is None and "error_message" not in filling.subject.rule.fields:
        text = filling.subject.it.status_message or None
    return 2 if told else 1, text_of(type_), text, filling.text("error_stack")


def _is_exception(subject: Subject, field: str, text: str) -> bool:
    """Whether a field's value came from an exception that a span recorded."""
    return bool(text) and any(
        one.text == text and one.source.own.startswith(f"event[{EXCEPTION_EVENT}]")
        for one in _expressions(subject.rule.fields.get(field, ()))
    )


def _expressions(value: Value) -> list[Expression]:
    return [one for one in value if not isinstance(one, Joined)]


def widened(fact: Placed, start_ns: int) -> Placed:
    """The same fact, begun earlier."""
    return msgspec.structs.replace(fact, start_ns=min(fact.start_ns, start_ns))

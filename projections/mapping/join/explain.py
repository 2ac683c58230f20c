"""Why things are as they are: which rule took each span, and where each field came from."""

from collections.abc import Iterable
from typing import Any

import msgspec

from projections.mapping.join.filing import filing_of, key_text, number_said
from projections.mapping.join.filling import Filling
from projections.mapping.join.joiner import Joiner
from projections.mapping.join.memory import MemoryObservations, place_of
from projections.mapping.join.placed import Placed
from projections.mapping.join.subject import Subject
from projections.mapping.observe.observation import Observation
from projections.mapping.rules.rule import FIELDS, Role, Rule
from projections.mapping.rules.ruleset import RuleSet
from projections.runs.words import QUEUED, STATUS_WORDS


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A field: its value, the source that told it, and by which rule, if not the span's own."""

    field: str
    value: Any
    source: str
    rule: str | None = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """One span or log record, as rules see it. `rule` None: no rule takes it.

    `facts` has a status for each attempt that it holds: none if it is none, several if it is
    split. `inferred` are the fields that were concluded.
    """

    name: str
    is_log: bool
    trace_id: str
    span_id: str
    parent_span_id: str
    start_ns: int
    rule: str | None = None
    rule_version: int | None = None
    file: str | None = None
    role: str | None = None
    system: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    attempt: int | None = None
    statuses: tuple[str, ...] = ()
    fields: tuple[Told, ...] = ()
    inferred: tuple[str, ...] = ()


def explain(observations: Iterable[Observation], rules: RuleSet) -> list[Explained]:
    """What each observation is, by its start, as seen with all the others.

    Others that are kept elsewhere and belong to them have to be given as well.
    """
    store, known = MemoryObservations(), list[Observation]()
    for it in observations:
        rule = rules.by_id.get(it.rule)
        subject = None if rule is None else Subject(it, rule, store)
        if store.put(it, [] if subject is None else filing_of(subject, rules.detailed)):
            known.append(it)
    joiner = Joiner(rules, store)
    return [_explained(it, rules, joiner, store) for it in sorted(known, key=place_of)]


def _explained(
    it: Observation, rules: RuleSet, joiner: Joiner, store: MemoryObservations
) -> Explained:
    seen = Explained(
        name=it.name, is_log=it.is_log, trace_id=it.trace_id.hex(), span_id=it.span_id.hex(),
        parent_span_id=it.parent_span_id.hex(), start_ns=it.start_ns,
    )  # fmt: skip
    rule = rules.by_id.get(it.rule)
    if rule is None:
        return seen
    facts = joiner.facts_of(it)
    subject = Subject(it, rule, store, it.segments[-1] if it.segments else None)
    told = _fields(subject, joiner) if rule.role in (Role.ATTEMPT, Role.DETAIL) else ()
    return msgspec.structs.replace(
        seen, rule=rule.id, rule_version=rule.version, file=rule.file,
        role=Role(rule.role).name.lower(), system=rule.system, fields=told,
        attempt=number_said(subject), statuses=tuple(map(_status, facts)),
        inferred=tuple(dict.fromkeys(name for fact in facts for name in fact.inferred)),
        **_run_of(facts),
    )  # fmt: skip


def _run_of(facts: list[Placed]) -> dict[str, str]:
    return {"task_id": facts[0].run.task_id, "run_id": facts[0].run.run_id} if facts else {}


def _status(fact: Placed) -> str:
    if fact.queues:
        return STATUS_WORDS[QUEUED]
    status = STATUS_WORDS[fact.outcome.status]
    if fact.if_later is None:
        return status
    return f"{status}, or {STATUS_WORDS[fact.if_later.status]} if there is a later attempt"


def _fields(subject: Subject, joiner: Joiner) -> tuple[Told, ...]:
    rule = subject.rule
    told = [Told(field="key", value=key_text(subject)[0], source=_key_source(rule))]
    if rule.attempt is not None:
        value, source = subject.value(rule.attempt)
        told.append(Told(field="attempt", value=value, source=source))
    elif rule.role is Role.ATTEMPT:
        told.append(Told(field="attempt", value=None, source="the order of start"))
    filling = Filling(subject, joiner.details_of(subject))
    for name in sorted(FIELDS):
        value, source, by = filling.get(name)
        if value is not None:
            other = None if by.rule.id == rule.id else by.rule.id
            told.append(Told(field=name, value=value, source=source, rule=other))
    return tuple(told)


def _key_source(rule: Rule) -> str:
    return " / ".join(" or ".join(one.text for one in part) for part in rule.key)

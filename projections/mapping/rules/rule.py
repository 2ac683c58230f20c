"""A rule, checked and compiled: which spans or records it takes, and what they mean."""

from enum import IntEnum
from typing import Any, Final

import msgspec

from projections.mapping.rules.filters import Filter
from projections.mapping.rules.patterns import Test
from projections.mapping.rules.sources import Source

SPAN, LOG = "span", "log"


class Role(IntEnum):
    """What an event that a rule takes is. Stored with observations: numbers keep their meaning."""

    CONTEXT = 0  # no rule takes it, but one asks it for values
    ATTEMPT = 1
    ENQUEUE = 2  # it only puts a task into a queue
    RUN = 3  # it stands for a whole flow, DAG run or pipeline
    DETAIL = 4  # it tells more of the attempt with its key and number
    IGNORE = 5


ROLES: Final = {role.name.lower(): role for role in Role if role is not Role.CONTEXT}
FIELDS: Final = frozenset({
    "task_id", "task_name", "run_id", "group", "retry_of", "will_retry", "max_attempts", "queue",
    "queued_at", "executor", "host", "component", "environment", "tool", "model", "planner",
    "error_type", "error_message", "error_stack", "backfilled", "parents", "causes",
    "files_written", "retrieval_count", "retrieval_sources", "cost_usd",
})  # fmt: skip
"""What a rule may say of an attempt, each by sources."""


class Expression(msgspec.Struct, frozen=True):
    """A source and what is made of its value. `nth`, `since_start`: which event counts."""

    text: str
    source: Source
    filters: tuple[Filter, ...] = ()
    nth: int = 0
    since_start: bool = False


class Joined(msgspec.Struct, frozen=True):
    """Several values as one text; nothing if one of them is absent."""

    text: str
    parts: tuple["Value", ...]
    separator: str


Value = tuple[Expression | Joined, ...]
"""Alternatives: the first that is present counts."""


class When(msgspec.Struct, frozen=True):
    """One condition: what a source must be."""

    source: Source
    wanted: Any
    test: Test


class StatusRule(msgspec.Struct, frozen=True):
    """A status that holds if all conditions do: `word`, or the value of `source`."""

    when: tuple[When, ...]
    word: str
    source: Value
    will_retry: bool | None
    inferred: bool


class Split(msgspec.Struct, frozen=True):
    """How one span is cut into several attempts, by its events.

    An attempt begins with an event like `start` and ends with the next like `start` or `end`, or
    with the span. `status` is the word of its closing event by `status_from` and `status_map`;
    without these, all but the last failed, and the last is as `last_status` says.
    """

    start: tuple[tuple[str, Test], ...]
    end: tuple[tuple[str, Test], ...]
    status_from: str
    status_map: dict[str, str]
    last_status: tuple[StatusRule, ...]


class Rule(msgspec.Struct, frozen=True):
    """One rule. `attempt` None: numbers go by the order of start, as for `"ordinal"`.

    `only`: what must hold of others, such as the parent, for the event to count; until then it does
    not. `identity`: spans of one run that have these values in common are one attempt, sent again;
    that which ended last counts. Empty: every span is one of its own. `shows_running`: a detail
    whose attempt is not known yet shows that it runs. `only_ends`: where an attempt of its run and
    trace runs, an attempt is the end of that one.
    """

    id: str
    version: int
    file: str
    signal: str
    role: Role
    system: str
    match: tuple[When, ...]
    only: tuple[When, ...]
    key: tuple[Value, ...]
    fields: dict[str, Value]
    attempt: Value | None
    status: tuple[StatusRule, ...]
    split: Split | None
    identity: tuple[Value, ...]
    new_run_on_attempt_1: bool
    related: tuple[str, ...]
    shows_running: bool
    only_ends: bool


def sources_of(rule: Rule) -> list[Source]:
    """Every source that a rule uses, with repetition."""
    values = [*rule.key, *rule.fields.values(), *rule.identity]
    values += [rule.attempt] if rule.attempt else []
    statuses = [*rule.status, *(rule.split.last_status if rule.split else ())]
    found = [when.source for when in (*rule.match, *rule.only)]
    for status in statuses:
        found += [when.source for when in status.when]
        values.append(status.source)
    for value in values:
        found += _sources(value)
    return found


def identifying_sources(rule: Rule) -> list[Source]:
    """The sources by which a rule finds what belongs together."""
    values = [*rule.key, *rule.identity, *([rule.attempt] if rule.attempt else [])]
    values += [rule.fields[name] for name in ("task_id", "task_name") if name in rule.fields]
    found = [when.source for when in rule.match]
    return [*found, *(source for value in values for source in _sources(value))]


def _sources(value: Value) -> list[Source]:
    found: list[Source] = []
    for one in value:
        if isinstance(one, Joined):
            for part in one.parts:
                found += _sources(part)
        else:
            found.append(one.source)
    return found


def is_open(value: Value) -> bool:
    """Whether another observation must tell it."""
    return any(source.is_open for source in _sources(value))

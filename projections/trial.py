"""What rules would make of some rows: observe, join and derive in memory, without a log.

For trying a rule before it is in force. What is found is what the views would show, as the same
code finds it; nothing is stored.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import msgspec

from events.codec import decode_context, is_tagged
from projections.fold import FactsProjection
from projections.mapping.join.explain import Explained, explain
from projections.mapping.join.joiner import Joiner
from projections.mapping.join.memory import MemoryObservations
from projections.mapping.join.placed import Placed, RunKey
from projections.mapping.observe.observation import Observation, Origin
from projections.mapping.observe.observer import Observer
from projections.mapping.observe.rows import SPAN_MARK, decode_span
from projections.mapping.rules.ruleset import RuleSet
from projections.runs import words
from projections.runs.attempt import Attempt
from projections.runs.derive import Derived, derive
from projections.runs.facts import RunFacts
from projections.runs.mapped.fact import fact_of
from projections.runs.registry.numbers import Registry
from projections.views.attempts.question import inferred

TENANT = "default"
UNMATCHED_LIMIT = 100
"""Kinds of spans that no rule takes, of which a trial tells."""


class Row(NamedTuple):
    """A row of a log with its context, as bytes, and its event id."""

    context: bytes
    row: bytes
    event_id: bytes


class TriedAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that the rules would give. `inferred`: what was concluded."""

    system: str
    task_id: str
    run_id: str
    attempt: int
    status: str
    will_retry: bool | None
    started_ns: int
    ended_ns: int | None
    retry_of: int | None
    queue: str | None
    executor: str | None
    group_id: str | None
    error_type: str | None
    error_message: str | None
    trace_id: str
    span_id: str
    rule: str
    rule_version: int
    inferred: tuple[str, ...]


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """Spans of one scope and name that no rule takes."""

    scope: str
    name: str
    spans: int


class UnknownWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word for a result that nobody knows, which a rule found."""

    word: str
    rule: str
    attempts: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    rows: int
    by_rule: dict[str, int]
    attempts: tuple[TriedAttempt, ...]
    queued: int  # runs that only were put into a queue
    unmatched: tuple[Unmatched, ...]
    spans: tuple[Explained, ...]
    unknown_words: tuple[UnknownWord, ...] = ()


def try_rules(rules: RuleSet, rows: Iterable[Row], *, told: bool = True) -> Trial:
    """The attempts that these rows are by these rules; with `told`, why each span is what it is."""
    observer = Observer(rules)
    seen: list[Observation] = []
    unmatched: Counter[tuple[str, str]] = Counter()
    count = 0
    for count, it in enumerate(rows, 1):
        sight = observer.at(it.context)
        origin = Origin(TENANT, it.event_id, 0, count)
        found = sight.observe(it.row, origin) if sight and sight.wants(it.row) else None
        if found is not None:
            seen.append(found)
        if (found is None or not found.rule) and is_tagged(it.row, SPAN_MARK):
            scope = decode_context(it.context).scope_name
            unmatched[scope, decode_span(it.row).name] += 1
    arrival = Joiner(rules, MemoryObservations()).arrive(seen)
    attempts, queued = _attempts(arrival.placed)
    return Trial(
        rows=count,
        by_rule=dict(Counter(it.rule for it in seen if it.rule).most_common()),
        attempts=tuple(attempts),
        queued=queued,
        unmatched=tuple(
            Unmatched(scope=scope, name=name, spans=spans)
            for (scope, name), spans in unmatched.most_common(UNMATCHED_LIMIT)
        ),
        spans=tuple(explain(seen, rules)) if told else (),
        unknown_words=tuple(_unknown_words(arrival.placed)),
    )


def _unknown_words(placed: Iterable[Placed]) -> Iterator[UnknownWord]:
    counts = Counter((it.outcome.unknown_word, it.rule) for it in placed)
    for (word, rule), attempts in counts.most_common(UNMATCHED_LIMIT):
        if word:
            yield UnknownWord(word=word, rule=rule, attempts=attempts)


def _attempts(placed: Iterable[Placed]) -> tuple[list[TriedAttempt], int]:
    """Every attempt, and how many runs have none yet."""
    runs: dict[RunKey, list[Placed]] = defaultdict(list)
    for one in placed:
        runs[one.run].append(one)
    attempts: list[TriedAttempt] = []
    queued = 0
    with closing(sqlite3.connect(":memory:")) as connection:
        FactsProjection({}).create(connection)
        registry = Registry()
        registry.connection = connection
        for run in sorted(runs):
            derived = _derived(runs[run], registry)
            if derived is not None:
                queued += derived.run.status == words.QUEUED
                attempts += [_tried(attempt, runs[run]) for attempt in derived.attempts]
    return attempts, queued


def _derived(placed: list[Placed], registry: Registry) -> Derived | None:
    tenant_no = registry.tenant_no(TENANT)
    spans = {one.fact_id: fact_of(one, registry, tenant_no) for one in placed}
    return derive(RunFacts(list(spans.values()), [], []), placed[0].run)


def _tried(attempt: Attempt, placed: list[Placed]) -> TriedAttempt:
    """The attempt with what the fact behind it says."""
    it = next(
        one
        for one in placed
        if (one.position, one.start_ns) == (attempt.position, attempt.started_ns)
    )
    concluded = [*it.inferred, *inferred(attempt.flags)]
    tells_error = attempt.error_no is not None
    return TriedAttempt(
        system=it.system, task_id=it.run.task_id, run_id=it.run.run_id, attempt=attempt.number,
        status=words.STATUS_WORDS[attempt.status], will_retry=attempt.will_retry,
        started_ns=attempt.started_ns, ended_ns=attempt.ended_ns, retry_of=attempt.retry_of,
        queue=it.queue, executor=it.executor, group_id=attempt.group_id,
        error_type=it.error_type if tells_error else None,
        error_message=it.error_message if tells_error else None,
        trace_id=it.trace_id.hex(), span_id=it.span_id.hex(), rule=it.rule,
        rule_version=it.rule_version,
        inferred=tuple(dict.fromkeys(concluded)),
    )  # fmt: skip

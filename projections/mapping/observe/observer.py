"""Rows of the log to observations, by a rule set.

Scope and resource stand once in a block: `Observer.at` chooses by them which rules and questions
come into question there, once for each context. `Sight.wants` looks for byte marks in a row, and
only what has one is decoded by `Sight.observe`.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from events import codec, names
from events.bounded import BoundedDict
from events.codec import is_tagged
from events.schema import Context
from projections.errors.telling import telling, told_by
from projections.mapping.observe.marks import (
    FEW_IN_MANY,
    Wants,
    any_of,
    mark_of,
    name_mark,
    text_mark,
)
from projections.mapping.observe.observation import Observation, Origin
from projections.mapping.observe.questions import Question, questions_of
from projections.mapping.observe.rows import (
    LOG_MARK,
    SPAN_MARK,
    Getter,
    LogRow,
    SpanRow,
    decode_context,
    decode_log,
    decode_span,
    event_name_of,
    from_context,
    log_getter,
    span_getter,
)
from projections.mapping.observe.running import announced, as_running
from projections.mapping.observe.segments import segments_of
from projections.mapping.rules.patterns import Test
from projections.mapping.rules.rule import LOG, SPAN, Role, Rule, sources_of
from projections.mapping.rules.ruleset import RuleSet
from projections.runs.values import STATUS_ERROR, environment_of, text_of

NATIVE: Final = "native"
NATIVE_RULES: Final = frozenset({NATIVE, "native.queued"})
"""The rules for spans that name their task themselves."""
_SEVERITY_ERROR: Final = 17  # SEVERITY_NUMBER_ERROR of opentelemetry.proto.logs.v1
SIGHTS_BYTES: Final = 32 << 20


class _Taken(NamedTuple):
    """A rule as it looks at rows of one context."""

    rule: Rule
    tests: tuple[tuple[Getter, Test], ...]
    getters: tuple[tuple[int, Getter], ...]
    shared: dict[int, Any]  # values that the context gives
    asks: bool  # whether its events must be kept


class Observer:
    """Chooses, for each context, what is looked for there."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules
        self._questions = questions_of(rules)
        self._sights: BoundedDict[bytes, Sight | None] = BoundedDict(SIGHTS_BYTES)
        anywhere = [
            rule for rule in rules.rules if rule.id not in NATIVE_RULES and _is_anywhere(rule)
        ]
        self.may_be_in = any_of([mark_of(rule.match) for rule in anywhere], FEW_IN_MANY)
        """Whether content of many rows may have one that a rule takes which looks in any context;
        of native spans nothing is said."""

    def at(self, context: bytes) -> "Sight | None":
        """What is looked for in blocks of this context (its bytes); None: nothing."""
        try:
            return self._sights[context]
        except KeyError:
            sight = self._sight(decode_context(context))
            self._sights.keep(context, sight, 8 * len(context))
            return sight

    def observe_announced(self, row: bytes, context: bytes, origin: Origin) -> Observation | None:
        """The observation of the span that a log record says has begun; None if there is none."""
        found = announced(decode_log(row))
        if found is None:
            return None
        scope, span = found
        whole = msgspec.structs.replace(
            decode_context(context), scope_name=scope, scope_version="", scope_attributes={}
        )
        sight = self.at(codec.encode_context(whole))
        return None if sight is None else sight.observe_span(span, origin)

    def _sight(self, context: Context) -> "Sight | None":
        rules = [rule for rule in self.rules.rules if _in_context(rule, context)]
        questions = [one for one in self._questions if one.heard_in(context)]
        taken = [self._taken(rule, context) for rule in rules]
        return Sight(taken, questions, context) if taken or questions else None

    def _taken(self, rule: Rule, context: Context) -> _Taken:
        getter = log_getter if rule.signal == LOG else span_getter
        sources = sources_of(rule)
        own = {s.slot: s.own for s in sources if not s.is_open and s.slot >= 0}
        shared = {
            slot: value
            for slot, text in own.items()
            if text.startswith(("scope", "resource."))
            and (value := from_context(text, context)) is not None
        }
        getters = {
            slot: getter(text)
            for slot, text in own.items()
            if not text.startswith(("scope", "resource.", "run."))
        }
        tests = [
            (getter(w.source.own), _of_any(w.test) if w.source.own.startswith("event[") else w.test)
            for w in rule.match
            if not w.source.of_context
        ]
        asks = any(source.is_open for source in sources) or bool(rule.identity)
        asks = asks or rule.new_run_on_attempt_1 or rule.role is Role.DETAIL
        asks = asks or rule.id in self.rules.detailed
        return _Taken(rule, tuple(tests), tuple(getters.items()), shared, asks)


def _of_any(test: Test) -> Test:
    """The test of one event's value, held for any of several events."""
    return lambda got: test(None) if got is None else any(test(value) for _, value in got)


def _is_anywhere(rule: Rule) -> bool:
    """Does a rule look in any context?"""
    return not any(when.source.of_context for when in rule.match)


def _in_context(rule: Rule, context: Context) -> bool:
    return all(
        when.test(from_context(when.source.own, context))
        for when in rule.match
        if when.source.of_context
    )


class _Asked:
    """The questions of one signal in one context."""

    def __init__(self, questions: Sequence[Question], context: Context, getter: Any) -> None:
        self.shared = {
            q.slot: value
            for q in questions
            if q.own.startswith(("scope", "resource."))
            and (value := from_context(q.own, context)) is not None
        }
        rest = [q for q in questions if not q.own.startswith(("scope", "resource."))]
        self.getters = [(q.slot, getter(q.own), q.record) for q in rest]
        self.chain = any(q.chain for q in questions) or bool(self.shared)
        self.marks: list[bytes | None] = [None] if self.chain else []
        self.marks += [text_mark(q.record) if q.record else name_mark(q.own) for q in rest]

    def values(self, row: SpanRow | LogRow, name: str) -> dict[int, Any] | None:
        """The answers of a row; None if it has none and no way leads through it."""
        found = dict(self.shared)
        for slot, get, record in self.getters:
            if not record or record == name:
                value = get(row)
                if value is not None:
                    found[slot] = value
        return found if found or self.chain else None


class Sight:
    """What is looked for in the blocks of one context.

    `before_native`: some rule comes before the one for native spans, and may take one.
    `is_native`: no other rule looks for anything here. `is_anywhere`: nothing is looked for but
    what is in any context. `asks_spans`: a rule may want to know of
    spans that it does not take.
    """

    def __init__(
        self, taken: Sequence[_Taken], questions: Sequence[Question], context: Context
    ) -> None:
        resource = context.resource_attributes
        self._place = (
            text_of(resource.get(names.SERVICE_INSTANCE_ID)),
            text_of(resource.get(names.HOST_NAME)),
            text_of(resource.get(names.SERVICE_NAME)),
            environment_of(resource),
        )
        self._spans = [one for one in taken if one.rule.signal == SPAN]
        self._logs = [one for one in taken if one.rule.signal == LOG]
        self.before_native = bool(self._spans) and self._spans[0].rule.id not in NATIVE_RULES
        self.is_native = not questions and all(one.rule.id in NATIVE_RULES for one in taken)
        self.is_anywhere = not questions and all(_is_anywhere(one.rule) for one in taken)
        self.asks_spans = any(not q.record for q in questions)
        self._span_asked = _Asked([q for q in questions if not q.record], context, span_getter)
        self._log_asked = _Asked([q for q in questions if q.record], context, log_getter)
        self._wants_span = _wants(self._spans, self._span_asked)
        self._wants_log = _wants(self._logs, self._log_asked)

    def wants(self, row: bytes) -> bool:
        """Whether a row may be observed; wrong only in being too generous."""
        if is_tagged(row, SPAN_MARK):
            return self._wants_span(row)
        return is_tagged(row, LOG_MARK) and self._wants_log(row)

    def observe(self, row: bytes, origin: Origin) -> Observation | None:
        """The observation of a row that is a span or a log record; None if it says nothing.

        Raises:
            msgspec.DecodeError: the row is neither.
        """
        if is_tagged(row, SPAN_MARK):
            return self.observe_span(decode_span(as_running(row)), origin)
        return self._log(decode_log(row), origin)

    def observe_span(self, row: SpanRow, origin: Origin) -> Observation | None:
        """The observation of a span; None if it says nothing."""
        taken = _first(self._spans, row)
        asked = self._span_asked.values(row, row.name) if self._span_asked.marks else None
        if taken is None and asked is None:
            return None
        rule, values, kept = _outcome(taken, asked, row)
        split = None if rule is None else rule.split
        return Observation(
            *origin, "" if rule is None else rule.id, Role.CONTEXT if rule is None else rule.role,
            False, kept, row.trace_id, row.span_id, row.parent_span_id, row.name, row.start_ns,
            row.end_ns, row.kind, row.status_code, values,
            None if split is None else segments_of(row, split), *self._place, row.status_message,
            _told_by_span(row),
        )  # fmt: skip

    def _log(self, row: LogRow, origin: Origin) -> Observation | None:
        name = event_name_of(row)
        taken = _first(self._logs, row)
        asked = None
        if self._log_asked.marks and row.trace_id and row.span_id:
            asked = self._log_asked.values(row, name)
        if taken is None and asked is None:
            return None
        rule, values, kept = _outcome(taken, asked, row)
        return Observation(
            *origin, "" if rule is None else rule.id, Role.CONTEXT if rule is None else rule.role,
            True, kept, row.trace_id, row.span_id, b"", name, row.time_ns or row.observed_ns, 0,
            0, 0, values, None, *self._place,
            told=telling(row.attributes) if row.severity_number >= _SEVERITY_ERROR else {},
        )  # fmt: skip


def _told_by_span(row: SpanRow) -> dict[str, Any]:
    """What tells which error it is; only spans that failed, or recorded why, pay for it."""
    failed = row.status_code == STATUS_ERROR or any(
        event.name == names.EXCEPTION_EVENT for event in row.events
    )
    return told_by(row.attributes, row.events) if failed else {}


def _wants(taken: Sequence[_Taken], asked: _Asked) -> Wants:
    rules = [mark_of(w for w in one.rule.match if not w.source.of_context) for one in taken]
    return any_of([*rules, *asked.marks])


def _first(taken: Sequence[_Taken], row: SpanRow | LogRow) -> _Taken | None:
    for one in taken:
        for get, test in one.tests:
            if not test(get(row)):
                break
        else:
            return one
    return None


def _outcome(
    taken: _Taken | None, asked: dict[int, Any] | None, row: SpanRow | LogRow
) -> tuple[Rule | None, dict[int, Any], bool]:
    """The rule, the values that it and others want, and whether they must be kept."""
    values = {} if asked is None else asked
    if taken is None:
        return None, values, True
    values |= taken.shared
    for slot, get in taken.getters:
        value = get(row)
        if value is not None:
            values[slot] = value
    return taken.rule, values, taken.asks or asked is not None

"""Questions about mapping rules: which are in force, what they make of a trace, what none takes.

The rules are those in force in the data folder; before its first start, those of the package. What
is answered is found by trying them on events of the log, so it costs what these events cost, and
is bounded by their number and by the time of a question.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from events import codec
from events.errors import BadInput, NotFound, Unavailable
from events.log.port import LogReader, Recorded
from events.schema import LogRecord, Span
from events.times import rfc3339
from projections.mapping.join.explain import Explained
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.in_force import InForce, read
from projections.mapping.rules.rule import Role
from projections.mapping.rules.ruleset import RuleSet
from projections.query import ids
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.parameters import Question
from projections.query.records import PositionText, Rfc3339
from projections.trial import Row, TriedAttempt, UnknownWord, Unmatched, try_rules
from projections.views.traces.fold import positions

TRACE_EVENTS: Final = 10_000
"""Spans and log records of a trace that are looked at."""
EVENTS_LIMIT: Final = 100_000
_PAGE_SEGMENTS: Final = 16
_PAGE_BYTES: Final = 4 << 20


class RuleInForce(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping rule."""

    id: str
    role: Annotated[str, Meta(description="`attempt`, `enqueue`, `run`, `detail` or `ignore`")]
    system: str
    version: int
    file: Annotated[str, Meta(description="The name of the file that it stands in")]


class Mappings(msgspec.Struct, frozen=True, kw_only=True):
    """The rules in force, in order: the first that matches counts."""

    items: list[RuleInForce]
    digest: Annotated[str, Meta(description="Equal for equal rules")]
    applied_at: Annotated[Rfc3339, Meta(description="Null: nothing was applied yet")] | None
    next: None = None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules in force make of one trace."""

    rows: Annotated[int, Meta(description="Spans and log records that were looked at")]
    by_rule: Annotated[dict[str, int], Meta(description="How many of them each rule took")]
    items: Annotated[list[TriedAttempt], Meta(description="Attempts, as of this trace alone")]
    queued: Annotated[int, Meta(description="Runs that were queued and never ran")]
    unmatched: list[Unmatched]
    spans: Annotated[list[Explained], Meta(description="Each span and record, by its start")]
    unknown_words: list[UnknownWord]
    complete: Annotated[bool, Meta(description="False: the trace has more events than that")]


class UnmatchedList(msgspec.Struct, frozen=True, kw_only=True):
    """What no rule takes, the most frequent first; at most 100 of each kind."""

    items: list[Unmatched]
    words: Annotated[list[UnknownWord], Meta(description="Words for results nobody knows")]
    rows: Annotated[int, Meta(description="Spans and log records that were looked at")]
    through: Annotated[PositionText, Meta(description="The last event that was looked at")]
    complete: Annotated[bool, Meta(description="False: the time budget ended before the newest")]
    next: None = None


class UnmatchedQuestion(Question, frozen=True, kw_only=True):
    """Parameters of what no rule takes."""

    events: Annotated[
        int,
        Meta(ge=1, le=EVENTS_LIMIT, description="So many of the log's last events count."),
    ] = 10_000


def mappings(inquiry: Inquiry, question: Question) -> Mappings:
    """The rules in force."""
    held = _in_force(inquiry)
    rules = _rules(held)
    items = [
        RuleInForce(
            id=rule.id, role=Role(rule.role).name.lower(), system=rule.system,
            version=rule.version, file=PurePath(rule.file).name,
        )
        for rule in rules.rules
    ]  # fmt: skip
    applied_ns = None if held is None else held.applied_ns
    return Mappings(items=items, digest=rules.digest, applied_at=rfc3339(applied_ns))


def explain(inquiry: Inquiry, question: Question, trace_id: str) -> Explanation:
    """What the rules in force make of a trace, by its id as any tool shows it."""
    with inquiry.log.read() as reader:
        found, complete = trace_events(inquiry, reader, trace_id)
    rules = _rules(_in_force(inquiry))
    trial = try_rules(rules, rows_of(found))
    return Explanation(
        rows=trial.rows,
        by_rule=trial.by_rule,
        items=list(trial.attempts),
        queued=trial.queued,
        unmatched=list(trial.unmatched),
        spans=[_named(one) for one in trial.spans],
        unknown_words=list(trial.unknown_words),
        complete=complete,
    )


def unmatched(inquiry: Inquiry, question: UnmatchedQuestion) -> UnmatchedList:
    """What no rule takes among the last events of the log."""
    rules = _rules(_in_force(inquiry))
    with inquiry.log.read() as reader:
        last = _Last(reader, inquiry, question.events)
        trial = try_rules(rules, last.rows(), told=False)
    return UnmatchedList(
        items=list(trial.unmatched),
        words=list(trial.unknown_words),
        rows=trial.rows,
        through=str(last.through),
        complete=last.complete,
    )


def trace_events(
    inquiry: Inquiry, reader: LogReader, text: str, limit: int = TRACE_EVENTS
) -> tuple[list[Recorded], bool]:
    """The first events of a trace in log order, and whether these are all.

    Raises:
        NotFound: there are none.
        BadQuestion: the text is no id.
    """
    for trace_id in ids.trace_ids(text):
        places = positions(inquiry.connection, inquiry.tenant, trace_id)
        found = [
            it
            for it in reader.fetch(0, places[:limit])
            if it.tenant == inquiry.tenant and getattr(it.event, "trace_id", None) == trace_id
        ]
        if found:
            return found, len(places) <= limit
    raise NotFound(f"no trace {text[:64]}")


def rows_of(found: Iterable[Recorded]) -> Iterator[Row]:
    """Spans and log records, as rules are tried on them."""
    for it in found:
        if isinstance(it.event, Span | LogRecord):
            yield Row(codec.encode_context(it.context), codec.encode_event(it.event), it.event_id)


class _Last:
    """The last events of the log, oldest first, within the time of a question."""

    def __init__(self, reader: LogReader, inquiry: Inquiry, events: int) -> None:
        self._reader = reader
        self._tenant = inquiry.tenant
        self._ends_s = time.monotonic() + inquiry.budget_s
        self._head = reader.head().position
        self.through = max(self._head - events, 0)

    @property
    def complete(self) -> bool:
        return self.through >= self._head

    def rows(self) -> Iterator[Row]:
        """Those of the tenant."""
        while not self.complete and time.monotonic() < self._ends_s:
            page = self._reader.read(
                0, self.through, through=self._head, limit_segments=_PAGE_SEGMENTS,
                limit_bytes=_PAGE_BYTES,
            )  # fmt: skip
            if not page.count:
                return
            yield from rows_of(it for it in page.recorded() if it.tenant == self._tenant)
            self.through = page.through


def _in_force(inquiry: Inquiry) -> InForce | None:
    try:
        return read(inquiry.log.data)
    except BadInput as exc:  # it names the folder, which is nobody's business who asks
        raise Unavailable("the rules in force cannot be read: mappings.json is damaged") from exc


def _rules(held: InForce | None) -> RuleSet:
    return builtin_rules() if held is None else held.rules


def _named(one: Explained) -> Explained:
    """Without the folder in which the rule's file lies."""
    return msgspec.structs.replace(one, file=one.file and PurePath(one.file).name)


ENDPOINTS: Final = (
    Endpoint(
        "mappings", "The mapping rules in force, in order.",
        Question, Mappings, (), mappings,
    ),
    Endpoint(
        "mappings/unmatched", "Spans that no mapping rule takes, and words that none knows.",
        UnmatchedQuestion, UnmatchedList, (), unmatched,
    ),
    Endpoint(
        "traces/{trace_id}/explain", "Which rule took each span of a trace, and why.",
        Question, Explanation, ("traces",), explain,
        "The trace id as any tool shows it.",
    ),
)  # fmt: skip

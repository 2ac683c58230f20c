"""Error patterns, and the occurrences of one."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.errors.verdicts import Verdicts
from projections.query import ids, lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered, window
from projections.query.listing import Strand
from projections.query.parameters import (
    Backfilled,
    Component,
    Executor,
    ListQuestion,
    Model,
    Question,
    Since,
    TaskId,
    Until,
)
from projections.query.records import (
    CategoryWord,
    Confidence,
    Hex,
    Ns,
    Page,
    Reason,
    Rfc3339,
    SeverityWord,
    Suggestion,
    Transient,
)
from projections.query.rows import Key, Rows, by_keys
from projections.runs import words
from projections.views.attempts.question import JOINS, Attempt, AttemptRow, attempt, rows_of
from projections.views.error_patterns.answers.chosen import ErrorsQuestion, chosen
from projections.views.error_patterns.answers.correlation import Correlated
from projections.views.error_patterns.answers.course import Course, State, Trend
from projections.views.error_patterns.answers.decided import (
    Decided,
    Triaged,
    course_at,
    decisions_of,
    hours_of,
)
from projections.views.error_patterns.answers.detail import (
    DAYS,
    Examples,
    Recovery,
    Seen,
    Why,
    detail_of,
)

SQL = load_queries("projections.views.error_patterns", "question.sql")
OCCURRENCE_KEY = ("seen_ns", "attempt_key")
_FINGERPRINT: Final = "The pattern's fingerprint: 32 hex digits."
_SORTS: Final = {
    "last_seen": "last_seen_ns",
    "first_seen": "first_seen_ns",
    "count": "occurrences",
}


class ErrorPattern(msgspec.Struct, frozen=True, kw_only=True):
    """Failures that are the same error."""

    fingerprint: Hex
    type: str | None
    message: Annotated[str, Meta(description="Of the first occurrence")] | None
    normal_message: Annotated[str, Meta(description="Where it decides, not the stack")] | None
    stack_hash: Hex | None
    category: CategoryWord
    severity: SeverityWord
    transient: Transient | None
    confidence: Confidence
    reason: Reason
    suggestion: Suggestion
    stack: Annotated[str, Meta(description="Normalised frames, one a line")] | None
    count: int
    recovered: Annotated[int, Meta(description="Occurrences whose run completed later")]
    unrecovered: int
    runs_lost: Annotated[int, Meta(description="Runs that ended in failure with it")]
    state: Annotated[State, Meta(description="Concluded from its occurrences, see docs/errors.md")]
    trend: Annotated[Trend, Meta(description="The last 24 hours against a usual day")]
    last_day: Annotated[int, Meta(description="Occurrences of the last 24 hours")]
    usual_day: Annotated[float, Meta(description="Mean of a day in the seven days before")]
    note: Annotated[str, Meta(description="What somebody wrote of it, last")] | None
    owner: Annotated[str, Meta(description="Who sees to it")] | None
    tasks: Annotated[int, Meta(description="Number of tasks touched")]
    component_count: int
    first_seen: Rfc3339 | None
    first_seen_ns: Ns
    last_seen: Rfc3339 | None
    last_seen_ns: Ns
    components: Annotated[list[str], Meta(description="At most 20, most touched first")]
    task_ids: Annotated[list[str], Meta(description="At most 10 of the tasks touched")]
    examples: Annotated[list[str], Meta(description="`attempt_id`s of the newest occurrences")]


class OneError(ErrorPattern, frozen=True, kw_only=True):
    """One error pattern in full; what is of its newest occurrences is of at most 1,000."""

    why: Why
    versions: Annotated[list[str], Meta(description="`service.version`s, of the newest 60")]
    hosts: Annotated[list[str], Meta(description="Of the newest occurrences, most first")]
    executors: Annotated[list[str], Meta(description="Of the newest occurrences, most first")]
    example: Examples
    recovery: Recovery
    hours: Annotated[list[Seen], Meta(description="The last 48 hours in which it was seen")]
    days: Annotated[list[Seen], Meta(description="The last 30 days in which it was seen")]
    correlated: Annotated[
        list[Correlated], Meta(description="What failing attempts have more than passing ones")
    ]
    triage: Annotated[list[Triaged], Meta(description="What was decided, newest first")]


class Occurrence(Attempt, frozen=True, kw_only=True):
    """One failure of an error pattern: the attempt, and what became of its run."""

    seen_at: Annotated[str, Meta(description="End of the attempt, RFC 3339")] | None
    seen_ns: Ns
    recovered: Annotated[bool, Meta(description="Its run completed later")] | None


class OccurrencesQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of one error pattern's occurrences."""

    task: TaskId | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    sort: Annotated[
        Literal["-seen", "seen"], Meta(description="Newest first (`-seen`) or oldest first.")
    ] = "-seen"


class _PatternRow(NamedTuple):
    """A row of the statement `patterns`."""

    fingerprint_no: int
    fingerprint: str
    stack_hash: str | None
    normal_message: str
    sample_stack: str | None
    occurrences: int
    recovered: int
    unrecovered: int
    runs_lost: int
    tasks: int
    components: int
    first_seen_ns: int
    last_seen_ns: int
    error_message: str | None
    signature: bytes
    component: str | None


class _OccurrenceRow(NamedTuple):
    """A row of the statement `occurrences`."""

    seen_ns: int
    attempt_key: int
    started_ns: int
    recovered: int


def errors(inquiry: Inquiry, question: ErrorsQuestion) -> Page[ErrorPattern]:
    """Error patterns; an index serves the order by last occurrence, the others sort them all."""
    values = inquiry.numbers(question)
    by = question.sort.removeprefix("-")
    strands = []
    if values is not None and inquiry.tenant_no is not None:
        key = (_SORTS[by], "fingerprint_no")
        strands = _strands(inquiry, question.pattern, key)
        values["since"], values["until"] = window(question)
    decided = decisions_of(inquiry.connection, inquiry.tenant) if strands else {}
    rows, leaves_out = chosen(
        _patterns(inquiry.connection, values or {}), question, inquiry.verdicts,
        lambda row: row.signature,
        lambda row: _course(inquiry, decided.get(row.fingerprint, Decided()), row).state,
    )  # fmt: skip
    return inquiry.page(
        question, strands, rows, partial(_pattern, inquiry, decided),
        newest_first=question.sort.startswith("-"),
        filtered=leaves_out or (values is not None and is_filtered(values, None)),
        bounded=by == "last_seen",
    )  # fmt: skip


def _strands(inquiry: Inquiry, fingerprint: str | None, key: tuple[str, str]) -> list[Strand]:
    """All patterns of the tenant, or the one that has a fingerprint."""
    if fingerprint is None:
        return [Strand("error_pattern", key, "tenant_no = ?", (inquiry.tenant_no or 0,))]
    number = _number(inquiry, fingerprint)
    return [] if number is None else [Strand("error_pattern", key, "fingerprint_no = ?", (number,))]


def error(inquiry: Inquiry, question: Question, fingerprint: str) -> OneError:
    """One error pattern."""
    key = (0, _find(inquiry, fingerprint))
    values = {**(inquiry.numbers(question) or {}), "since": None, "until": None}
    rows = _patterns(inquiry.connection, values)([key])
    if not rows:
        raise NotFound(f"no error pattern {fingerprint[:200]!r}")
    row, decided = rows[key], decisions_of(inquiry.connection, inquiry.tenant)
    pattern = _pattern(inquiry, decided, row)
    triage = decided.get(row.fingerprint, Decided()).shown()
    hours = hours_of(inquiry.connection, row.fingerprint_no, inquiry.now_ns, 24 * DAYS)
    detail = detail_of(inquiry, row.fingerprint_no, row.signature, hours, triage)
    return OneError(**msgspec.structs.asdict(pattern), **detail)


def occurrences(
    inquiry: Inquiry, question: OccurrencesQuestion, fingerprint: str
) -> Page[Occurrence]:
    """Failures of one pattern by when they were seen: at the attempt's end."""
    number = _find(inquiry, fingerprint)
    values = inquiry.numbers(question)
    strands = []
    if values is not None:
        strands = [Strand("error_occurrence", OCCURRENCE_KEY, "fingerprint_no = ?", (number,))]
    return inquiry.page(
        question, strands, _occurrences(inquiry, number, values or {}),
        partial(_occurrence, inquiry.tenant, inquiry.verdicts),
        newest_first=question.sort == "-seen",
        filtered=values is not None and is_filtered(values, None),
    )  # fmt: skip


def _number(inquiry: Inquiry, fingerprint: str) -> int | None:
    digits = ids.hex_text(fingerprint, ids.FINGERPRINT_BYTES) or fingerprint
    return lookup.find_fingerprint(inquiry.connection, inquiry.tenant, digits)


def _find(inquiry: Inquiry, fingerprint: str) -> int:
    number = _number(inquiry, fingerprint)
    if number is None:
        raise NotFound(f"no error pattern {fingerprint[:200]!r}")
    return number


def _patterns(connection: sqlite3.Connection, values: Mapping[str, Any]) -> Rows[_PatternRow]:
    """Patterns by keys of which only the number counts: lists go by several columns."""
    by_number = by_keys(connection, SQL["patterns"], values, _PatternRow, width=1)

    def rows(keys: Sequence[Key]) -> dict[Key, _PatternRow]:
        patterns = by_number(keys)
        return {key: patterns[key[1:]] for key in keys if key[1:] in patterns}

    return rows


def _occurrences(
    inquiry: Inquiry, number: int, values: Mapping[str, Any]
) -> Rows[tuple[_OccurrenceRow, AttemptRow]]:
    """Occurrences of a pattern with their attempts, which the filters are about."""
    of_pattern = by_keys(
        inquiry.connection, SQL["occurrences"], {"fingerprint": number}, _OccurrenceRow
    )
    attempts = rows_of(inquiry, values)

    def rows(keys: Sequence[Key]) -> dict[Key, tuple[_OccurrenceRow, AttemptRow]]:
        seen: dict[Key, _OccurrenceRow] = {
            (row.started_ns, row.attempt_key): row for row in of_pattern(keys).values()
        }
        return {
            (seen[key].seen_ns, row.attempt_key): (seen[key], row)
            for key, row in attempts(list(seen)).items()
        }

    return rows


def _occurrence(
    tenant: str, verdicts: Verdicts, row: tuple[_OccurrenceRow, AttemptRow]
) -> Occurrence:
    seen, tried = row
    return Occurrence(
        **msgspec.structs.asdict(attempt(tenant, verdicts, tried)),
        seen_at=rfc3339(seen.seen_ns),
        seen_ns=seen.seen_ns,
        recovered=bool(seen.recovered),
    )


def _course(inquiry: Inquiry, decided: Decided, row: _PatternRow) -> Course:
    seen_ns = row.first_seen_ns, row.last_seen_ns
    return course_at(inquiry.connection, row.fingerprint_no, seen_ns, decided, inquiry.now_ns)


def _pattern(
    inquiry: Inquiry, all_decided: Mapping[str, Decided], row: _PatternRow
) -> ErrorPattern:
    decided = all_decided.get(row.fingerprint, Decided())

    def touched(name: str) -> list[tuple[Any, ...]]:
        return inquiry.connection.execute(SQL[name], {"fingerprint": row.fingerprint_no}).fetchall()

    return ErrorPattern(
        **inquiry.verdicts.told(row.signature, row.error_message, row.component),
        **_course(inquiry, decided, row)._asdict(),
        note=decided.note,
        owner=decided.owner,
        fingerprint=row.fingerprint,
        message=row.error_message,
        normal_message=row.normal_message or None,
        stack_hash=row.stack_hash,
        stack=row.sample_stack or None,
        count=row.occurrences,
        recovered=row.recovered,
        unrecovered=row.unrecovered,
        runs_lost=row.runs_lost,
        tasks=row.tasks,
        component_count=row.components,
        first_seen=rfc3339(row.first_seen_ns),
        first_seen_ns=row.first_seen_ns,
        last_seen=rfc3339(row.last_seen_ns),
        last_seen_ns=row.last_seen_ns,
        components=[component for (component,) in touched("components")],
        task_ids=[task_id for (task_id,) in touched("tasks")],
        examples=[
            words.attempt_id(inquiry.tenant, task_id, run_id, key & words.NUMBER_LIMIT)
            for task_id, run_id, key in touched("examples")
        ],
    )


ENDPOINTS: Final = (
    Endpoint(
        "errors", "Error patterns: failures that are the same error, last seen first.",
        ErrorsQuestion, Page[ErrorPattern], ("error_patterns", "triage"), errors,
    ),
    Endpoint(
        "errors/{fingerprint}", "One error pattern, and why these failures are one.",
        Question, OneError, ("error_patterns", "attempts", "runs", "triage"), error,
        _FINGERPRINT,
    ),
    Endpoint(
        "errors/{fingerprint}/occurrences", "The failures of one error pattern, newest first.",
        OccurrencesQuestion, Page[Occurrence], ("error_patterns", "attempts"),
        occurrences, _FINGERPRINT, {**JOINS, "runs": (*JOINS["runs"], "recovered")},
    ),
)  # fmt: skip

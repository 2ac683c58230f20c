"""Error patterns, and the occurrences of one."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query import lookup as numbers
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered, window
from projections.query.listing import Key, Rows, Strand, lookup
from projections.query.parameters import (
    Backfilled,
    Component,
    Executor,
    ListQuestion,
    Model,
    Question,
    Since,
    TaskId,
    Text,
    Until,
)
from projections.query.records import Hex, Ns, Page, Rfc3339
from projections.runs import words
from projections.views.attempts.question import READS, Attempt, fields
from projections.views.attempts.question import SQL as ATTEMPT_SQL

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
    stack: Annotated[str, Meta(description="Normalised frames, one a line")] | None
    count: int
    recovered: Annotated[int, Meta(description="Occurrences whose run completed later")]
    unrecovered: int
    tasks: Annotated[int, Meta(description="Number of tasks touched")]
    component_count: int
    first_seen: Rfc3339 | None
    first_seen_ns: Ns
    last_seen: Rfc3339 | None
    last_seen_ns: Ns
    components: Annotated[list[str], Meta(description="At most 20, most touched first")]
    task_ids: Annotated[list[str], Meta(description="At most 10 of the tasks touched")]
    examples: Annotated[list[str], Meta(description="`attempt_id`s of the newest occurrences")]


class Occurrence(Attempt, frozen=True, kw_only=True):
    """One failure of an error pattern: the attempt, and what became of its run."""

    seen_at: Annotated[str, Meta(description="End of the attempt, RFC 3339")] | None
    seen_ns: Ns
    recovered: Annotated[bool, Meta(description="Its run completed later")]


class ErrorsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of error patterns; times are those of the last occurrence."""

    task: Annotated[Text, Meta(description="Only patterns that touched this task.")] | None = None
    component: (
        Annotated[Text, Meta(description="Only patterns that touched this component.")] | None
    ) = None
    since: Since | None = None
    until: Until | None = None
    recovered: (
        Annotated[bool, Meta(description="Only patterns with a recovery, or without any.")] | None
    ) = None
    q: (
        Annotated[
            str,
            Meta(min_length=1, max_length=256, description="Prefix of the fingerprint or type."),
        ]
        | None
    ) = None
    sort: Annotated[
        Literal["-last_seen", "last_seen", "-first_seen", "first_seen", "-count", "count"],
        Meta(description="Order; a `-` in front turns it round."),
    ] = "-last_seen"


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


def errors(inquiry: Inquiry, question: ErrorsQuestion) -> Page[ErrorPattern]:
    """Error patterns; an index serves the order by last occurrence, the others sort them all."""
    values = inquiry.numbers(question)
    by = question.sort.removeprefix("-")
    strands = []
    if values is not None and inquiry.tenant_no is not None:
        key = (_SORTS[by], "fingerprint_no")
        strands = [Strand("error_pattern", key, "tenant_no = ?", (inquiry.tenant_no,))]
        values["since"], values["until"] = window(question)
    found, next_ = inquiry.page(
        question, strands, _rows(inquiry.connection, values or {}),
        newest_first=question.sort.startswith("-"),
        filtered=values is not None and is_filtered(values, None),
        bounded=by == "last_seen",
    )  # fmt: skip
    items = [_pattern(inquiry, row) for row in found.rows]
    return Page(items, next_, str(inquiry.position), found.complete)


def error(inquiry: Inquiry, question: Question, fingerprint: str) -> ErrorPattern:
    """One error pattern."""
    number = _find(inquiry, fingerprint)
    values = {**(inquiry.numbers(question) or {}), "since": None, "until": None}
    found = _rows(inquiry.connection, values)([(0, number)])
    if not found:
        raise NotFound(f"no error pattern {fingerprint[:200]!r}")
    return _pattern(inquiry, found[0, number])


def occurrences(
    inquiry: Inquiry, question: OccurrencesQuestion, fingerprint: str
) -> Page[Occurrence]:
    """Failures of one pattern by when they were seen: at the attempt's end."""
    number = _find(inquiry, fingerprint)
    values = inquiry.numbers(question)
    strands = []
    if values is not None:
        strands = [Strand("error_occurrence", OCCURRENCE_KEY, "fingerprint_no = ?", (number,))]
    rows = lookup(
        inquiry.connection, ATTEMPT_SQL["occurrences"], {**(values or {}), "fingerprint": number}
    )
    found, next_ = inquiry.page(
        question, strands, rows,
        newest_first=question.sort == "-seen",
        filtered=values is not None and is_filtered(values, None),
    )  # fmt: skip
    items = [_occurrence(inquiry.tenant, row) for row in found.rows]
    return Page(items, next_, str(inquiry.position), found.complete)


def _find(inquiry: Inquiry, fingerprint: str) -> int:
    number = numbers.find_fingerprint(inquiry.connection, inquiry.tenant, fingerprint.lower())
    if number is None:
        raise NotFound(f"no error pattern {fingerprint[:200]!r}")
    return number


def _rows(connection: sqlite3.Connection, values: Mapping[str, Any]) -> Rows:
    by_number = lookup(connection, SQL["patterns"], values, width=1)

    def rows(keys: Sequence[Key]) -> dict[Key, Any]:
        found = by_number(keys)
        return {key: found[key[1:]] for key in keys if key[1:] in found}

    return rows


def _occurrence(tenant: str, row: tuple[Any, ...]) -> Occurrence:
    return Occurrence(
        **fields(tenant, row[2:-1]),
        seen_at=rfc3339(row[0]),
        seen_ns=row[0],
        recovered=bool(row[-1]),
    )


def _pattern(inquiry: Inquiry, row: tuple[Any, ...]) -> ErrorPattern:
    (
        number, fingerprint, type_, stack_hash, normal_message, sample_stack, count, recovered,
        unrecovered, tasks, components, first_seen_ns, last_seen_ns, message,
    ) = row  # fmt: skip

    def asking(name: str) -> list[tuple[Any, ...]]:
        return inquiry.connection.execute(SQL[name], {"fingerprint": number}).fetchall()

    return ErrorPattern(
        fingerprint=fingerprint,
        type=type_,
        message=message,
        normal_message=normal_message or None,
        stack_hash=stack_hash,
        stack=sample_stack,
        count=count,
        recovered=recovered,
        unrecovered=unrecovered,
        tasks=tasks,
        component_count=components,
        first_seen=rfc3339(first_seen_ns),
        first_seen_ns=first_seen_ns,
        last_seen=rfc3339(last_seen_ns),
        last_seen_ns=last_seen_ns,
        components=[row[0] for row in asking("components")],
        task_ids=[row[0] for row in asking("tasks")],
        examples=[
            words.attempt_id(inquiry.tenant, task_id, run_id, key & words.NUMBER_LIMIT)
            for task_id, run_id, key in asking("examples")
        ],
    )


ENDPOINTS: Final = (
    Endpoint(
        "errors", "Error patterns: failures that are the same error, last seen first.",
        ErrorsQuestion, Page[ErrorPattern], ("error_patterns",), errors,
    ),
    Endpoint(
        "errors/{fingerprint}", "One error pattern.",
        Question, ErrorPattern, ("error_patterns",), error, _FINGERPRINT,
    ),
    Endpoint(
        "errors/{fingerprint}/occurrences", "The failures of one error pattern, newest first.",
        OccurrencesQuestion, Page[Occurrence], ("error_patterns", *READS),
        occurrences, _FINGERPRINT,
    ),
)  # fmt: skip

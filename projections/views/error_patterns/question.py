"""Error patterns, and the occurrences of one."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query import lookup as numbers
from projections.query.inquiry import Asked, is_filtered, window
from projections.query.listing import Key, Rows, Strand, lookup
from projections.query.parameters import ErrorsQuestion, OccurrencesQuestion, Question
from projections.query.records import ErrorPattern, Occurrence, Page
from projections.runs import words
from projections.views.attempts.question import SQL as ATTEMPT_SQL
from projections.views.attempts.question import fields

SQL = load_queries("projections.views.error_patterns", "question.sql")
OCCURRENCE_KEY = ("seen_ns", "attempt_key")
_SORTS: Final = {
    "last_seen": "last_seen_ns",
    "first_seen": "first_seen_ns",
    "count": "occurrences",
}


def errors(asked: Asked, question: ErrorsQuestion) -> Page[ErrorPattern]:
    """Error patterns; an index serves the order by last occurrence, the others sort them all."""
    values = asked.numbers(question)
    by = question.sort.removeprefix("-")
    strands = []
    if values is not None and asked.tenant_no is not None:
        key = (_SORTS[by], "fingerprint_no")
        strands = [Strand("error_pattern", key, "tenant_no = ?", (asked.tenant_no,))]
        values["since"], values["until"] = window(question)
    found, next_ = asked.page(
        question, strands, _rows(asked.connection, values or {}),
        newest_first=question.sort.startswith("-"),
        filtered=values is not None and is_filtered(values, None),
        bounded=by == "last_seen",
    )  # fmt: skip
    items = [_pattern(asked, row) for row in found.rows]
    return Page(items, next_, str(asked.position), found.complete)


def error(asked: Asked, question: Question, fingerprint: str) -> ErrorPattern:
    """One error pattern."""
    number = _find(asked, fingerprint)
    values = {**(asked.numbers(question) or {}), "since": None, "until": None}
    found = _rows(asked.connection, values)([(0, number)])
    if not found:
        raise NotFound(f"no error pattern {fingerprint[:200]!r}")
    return _pattern(asked, found[0, number])


def occurrences(asked: Asked, question: OccurrencesQuestion, fingerprint: str) -> Page[Occurrence]:
    """Failures of one pattern by when they were seen: at the attempt's end."""
    number = _find(asked, fingerprint)
    values = asked.numbers(question)
    strands = []
    if values is not None:
        strands = [Strand("error_occurrence", OCCURRENCE_KEY, "fingerprint_no = ?", (number,))]
    rows = lookup(
        asked.connection, ATTEMPT_SQL["occurrences"], {**(values or {}), "fingerprint": number}
    )
    found, next_ = asked.page(
        question, strands, rows,
        newest_first=question.sort == "-seen",
        filtered=values is not None and is_filtered(values, None),
    )  # fmt: skip
    items = [_occurrence(asked.tenant, row) for row in found.rows]
    return Page(items, next_, str(asked.position), found.complete)


def _find(asked: Asked, fingerprint: str) -> int:
    number = numbers.find_fingerprint(asked.connection, asked.tenant, fingerprint.lower())
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


def _pattern(asked: Asked, row: tuple[Any, ...]) -> ErrorPattern:
    (
        number, fingerprint, type_, stack_hash, normal_message, sample_stack, count, recovered,
        unrecovered, tasks, components, first_seen_ns, last_seen_ns, message,
    ) = row  # fmt: skip

    def asking(name: str) -> list[tuple[Any, ...]]:
        return asked.connection.execute(SQL[name], {"fingerprint": number}).fetchall()

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
            words.attempt_id(asked.tenant, task_id, run_id, key & words.NUMBER_LIMIT)
            for task_id, run_id, key in asking("examples")
        ],
    )

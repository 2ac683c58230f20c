"""Attempts: lists, and the rows of any attempt made into records."""

from typing import Any

import msgspec

from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.query import lookup as numbers
from projections.query.inquiry import Asked, is_filtered
from projections.query.listing import Strand, lookup
from projections.query.parameters import AttemptsQuestion
from projections.query.records import Attempt, Failure, Page
from projections.query.refusals import BadQuestion
from projections.runs import words

SQL = load_queries("projections.views.attempts", "question.sql")
KEY = ("started_ns", "attempt_key")


def attempts(asked: Asked, question: AttemptsQuestion) -> Page[Attempt]:
    """Attempts by start."""
    if question.run is not None and question.task is None:
        raise BadQuestion([("run", "a run is known by its task and its id: give `task` too")])
    values = asked.numbers(question)
    strands, served = _strands(asked, question, values)
    rows = lookup(asked.connection, SQL["attempts"], values or {})
    found, next_ = asked.page(
        question, strands, rows,
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    items = [attempt(asked.tenant, row) for row in found.rows]
    return Page(items, next_, str(asked.position), found.complete)


def _strands(
    asked: Asked, question: AttemptsQuestion, values: dict[str, Any] | None
) -> tuple[list[Strand], str | None]:
    """The index ranges to read, and the filter that they serve."""
    if values is None:
        return [], None
    if question.run is not None:
        run_no = numbers.find_run(asked.connection, asked.tenant, question.task or "", question.run)
        if run_no is None:
            return [], None
        low = run_no << words.NUMBER_BITS
        bounds = (low, low + words.NUMBER_LIMIT)
        return [Strand("attempt", KEY, "attempt_key BETWEEN ? AND ?", bounds)], "task"
    if values["task"] is not None:
        return [Strand("attempt", KEY, "task_no = ?", (values["task"],))], "task"
    if values["executor"] is not None:
        return [Strand("attempt", KEY, "executor_no = ?", (values["executor"],))], "executor"
    return asked.by_status("attempt", KEY, question.status), "status"


def attempt(tenant: str, row: tuple[Any, ...]) -> Attempt:
    """The record of a row of the statement `attempts`."""
    return Attempt(**fields(tenant, row))


def fields(tenant: str, row: tuple[Any, ...]) -> dict[str, Any]:
    """The fields of an attempt from a row of the statement `attempts`."""
    (
        started_ns, key, task_id, task_name, run_id, group_id, status, flags, ended_ns, queued_ns,
        retry_of, max_attempts, executor, queue, tool, model, planner, host, component, system,
        error_type, stack_hash, fingerprint, error_message, trace_id, span_id, extra, progress,
    ) = row  # fmt: skip
    number = key & words.NUMBER_LIMIT
    duration_ns = None if ended_ns is None else ended_ns - started_ns
    return {
        "attempt_id": words.attempt_id(tenant, task_id, run_id, number),
        "task_id": task_id,
        "task_name": task_name,
        "run_id": run_id,
        "group_id": group_id,
        "attempt": number,
        "status": words.STATUS_WORDS[status],
        "inferred": inferred(flags),
        "queued_at": rfc3339(queued_ns),
        "started_at": rfc3339(started_ns),
        "ended_at": rfc3339(ended_ns),
        "queued_ns": queued_ns,
        "started_ns": started_ns,
        "ended_ns": ended_ns,
        "duration_ns": duration_ns,
        "duration_s": seconds(duration_ns),
        "progress": progress,
        "queue": queue,
        "executor": executor,
        "tool": tool,
        "model": model,
        "planner": planner,
        "host": host,
        "component": component,
        "error": failure(error_type, error_message, stack_hash, fingerprint),
        "trace_id": trace_id.hex() or None,
        "span_id": span_id.hex() or None,
        "retry_of": None
        if retry_of is None
        else words.attempt_id(tenant, task_id, run_id, retry_of),
        "backfilled": bool(flags & words.FLAG_BACKFILLED),
        "system": system,
        "max_attempts": max_attempts,
        **(msgspec.json.decode(extra) if extra else {}),
    }


def inferred(flags: int) -> list[str]:
    """Names of the fields that were concluded instead of said by the sender."""
    names = []
    if flags & (words.FLAG_NUMBER_BY_ORDER | words.FLAG_NUMBER_MOVED):
        names.append("attempt")
    if flags & words.FLAG_STATUS_INFERRED:
        names.append("status")
    return names


def failure(
    type_: str | None, message: str | None, stack_hash: str | None, fingerprint: str | None
) -> Failure | None:
    """The error, if anything is known of one."""
    if type_ is None and message is None and fingerprint is None:
        return None
    return Failure(type_, message, stack_hash, fingerprint)

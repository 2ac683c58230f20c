"""Attempts: lists, and the rows of any attempt made into records."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.query import lookup as numbers
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered
from projections.query.listing import Strand, lookup
from projections.query.parameters import (
    AttemptStatus,
    Backfilled,
    ByStart,
    Component,
    Executor,
    ListQuestion,
    Model,
    Prefix,
    Since,
    TaskId,
    Text,
    Until,
)
from projections.query.records import Failure, Hex, Ns, Page, RanBy, Rfc3339
from projections.query.refusals import BadQuestion
from projections.runs import words

SQL = load_queries("projections.views.attempts", "question.sql")
KEY = ("started_ns", "attempt_key")
READS: Final = ("attempts", "runs", "tasks")


class Attempt(RanBy, frozen=True, kw_only=True):
    """One try of a task."""

    attempt_id: Hex
    task_id: str
    task_name: str | None
    run_id: str
    group_id: str | None
    attempt: Annotated[int, Meta(description="Number within the run, from 1")]
    status: str
    inferred: Annotated[list[str], Meta(description="Fields that were derived, not sent")]
    queued_at: Rfc3339 | None
    started_at: Rfc3339 | None
    ended_at: Rfc3339 | None
    queued_ns: Ns | None
    started_ns: Ns | None
    ended_ns: Ns | None
    duration_ns: Annotated[int, Meta(description="End - start; negative if clocks ran back")] | (
        None
    )
    duration_s: float | None
    queue: str | None
    component: Annotated[str, Meta(description="Service name of the sender")] | None
    error: Failure | None
    trace_id: Hex | None
    span_id: Hex | None
    retry_of: Annotated[str, Meta(description="`attempt_id` that this one tries again")] | None
    backfilled: bool
    system: Annotated[str, Meta(description="Orchestrator whose rules recognised it")] | None
    progress: Annotated[float, Meta(description="Share done, as last told")] | None = None
    max_attempts: int | None = None
    parents: list[str] = []
    causes: list[str] = []
    files_written: int | None = None
    retrieval_count: int | None = None
    retrieval_sources: list[str] = []


class AttemptsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of attempts."""

    task: TaskId | None = None
    run: Annotated[Text, Meta(description="Only of runs with this id.")] | None = None
    status: AttemptStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


def attempts(inquiry: Inquiry, question: AttemptsQuestion) -> Page[Attempt]:
    """Attempts by start."""
    if question.run is not None and question.task is None:
        raise BadQuestion([("run", "a run is known by its task and its id: give `task` too")])
    values = inquiry.numbers(question)
    strands, served = _strands(inquiry, question, values)
    rows = lookup(inquiry.connection, SQL["attempts"], values or {})
    found, next_ = inquiry.page(
        question, strands, rows,
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    items = [attempt(inquiry.tenant, row) for row in found.rows]
    return Page(items, next_, str(inquiry.position), found.complete)


def _strands(
    inquiry: Inquiry, question: AttemptsQuestion, values: dict[str, Any] | None
) -> tuple[list[Strand], str | None]:
    """The index ranges to read, and the filter that they serve."""
    if values is None:
        return [], None
    if question.run is not None:
        run_no = numbers.find_run(
            inquiry.connection, inquiry.tenant, question.task or "", question.run
        )
        if run_no is None:
            return [], None
        low = run_no << words.NUMBER_BITS
        bounds = (low, low + words.NUMBER_LIMIT)
        return [Strand("attempt", KEY, "attempt_key BETWEEN ? AND ?", bounds)], "task"
    if values["task"] is not None:
        return [Strand("attempt", KEY, "task_no = ?", (values["task"],))], "task"
    if values["executor"] is not None:
        return [Strand("attempt", KEY, "executor_no = ?", (values["executor"],))], "executor"
    return inquiry.by_status("attempt", KEY, question.status), "status"


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


ENDPOINTS: Final = (
    Endpoint(
        "attempts", "Attempts: every single try, newest start first.",
        AttemptsQuestion, Page[Attempt], READS, attempts,
    ),
)  # fmt: skip

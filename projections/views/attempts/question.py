"""Attempts: lists, and the rows of any attempt made into records."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.errors.verdicts import Verdicts
from projections.query import ids, lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered, window
from projections.query.listing import Order, Strand, count
from projections.query.parameters import (
    AttemptStatus,
    Backfilled,
    ByStart,
    Component,
    Environment,
    Executor,
    ListQuestion,
    Model,
    Prefix,
    Question,
    Since,
    TaskId,
    Text,
    Until,
)
from projections.query.records import Count, ExecutorText, Failure, Hex, Ns, Page, Rfc3339, failure
from projections.query.refusals import BadQuestion
from projections.query.rows import Rows, by_keys
from projections.runs import words
from projections.runs.more import Extra, shown_of
from projections.views.attempts.search import parsed
from projections.views.attempts.searching import Searching

SQL = load_queries("projections.views.attempts", "question.sql")
KEY = ("started_ns", "attempt_key")
JOINS: Final = {"tasks": ("task_name",), "runs": ("group_id",)}


class Attempt(Extra, frozen=True):
    """One try of a task."""

    executor: ExecutorText | None
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None
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
    queue_wait_ns: Annotated[
        int, Meta(description="Start - queued; negative if the clocks of both differ")
    ] | None  # fmt: skip
    queue_wait_s: float | None
    queue: str | None
    component: Annotated[str, Meta(description="Service name of the sender")] | None
    environment: Annotated[str, Meta(description="`deployment.environment.name`")] | None
    error: Failure | None
    trace_id: Hex | None
    span_id: Hex | None
    retry_of: Annotated[str, Meta(description="`attempt_id` that this one tries again")] | None
    backfilled: bool
    system: Annotated[str, Meta(description="Orchestrator whose rules recognised it")] | None
    rule: Annotated[str, Meta(description="Mapping rule and its version, `id@version`")] | None
    progress: Annotated[float, Meta(description="Share done, as last told")] | None = None
    max_attempts: int | None = None


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
    environment: Environment | None = None
    backfilled: Backfilled | None = None
    q: Prefix | None = None
    search: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=2000,
                description="Words that attempts must say; `field:word`, `*`, AND, OR, NOT and "
                "brackets, see docs/web.md.",
            ),
        ]
        | None
    ) = None
    sort: ByStart = "-started"


class AttemptCountQuestion(Question, frozen=True, kw_only=True):
    """Parameters of a count of attempts: those of their list."""

    task: TaskId | None = None
    run: Annotated[Text, Meta(description="Only of runs with this id.")] | None = None
    status: AttemptStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    environment: Environment | None = None
    backfilled: Backfilled | None = None
    q: Prefix | None = None


class AttemptRow(NamedTuple):
    """A row of the statement `attempts`."""

    started_ns: int
    attempt_key: int
    task_id: str
    task_name: str | None
    run_id: str
    group_id: str | None
    status: int
    flags: int
    ended_ns: int | None
    queued_ns: int | None
    retry_of: int | None
    max_attempts: int | None
    executor: str | None
    queue: str | None
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None
    component: str | None
    environment: str | None
    system: str | None
    rule: str | None
    stack_hash: str | None
    fingerprint: str | None
    signature: bytes | None
    error_message: str | None
    trace_id: bytes
    span_id: bytes
    extra: bytes
    progress: float | None
    position: int


class MemberRow(NamedTuple):
    """A row of the statement `of_run_in_trace`."""

    started_ns: int
    attempt_key: int
    position: int


class ElsewhereRow(NamedTuple):
    """A row of the statement `of_run_elsewhere`."""

    started_ns: int
    attempt_key: int
    position: int
    trace_id: bytes


def attempts(inquiry: Inquiry, question: AttemptsQuestion) -> Page[Attempt]:
    """Attempts by start."""
    values = inquiry.numbers(question)
    strands, served = _strands(inquiry, question, values)
    rows = rows_of(inquiry, values or {})
    page = partial(
        inquiry.page, question, record=partial(attempt, inquiry.tenant, inquiry.verdicts),
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    sought = None if question.search is None else parsed(question.search)
    if sought is None or not strands:
        return page(strands, rows)
    can_narrow = served == "status" and question.status is None
    with Searching(inquiry, sought) as searching:
        found = searching.strands(strands, partial(_narrowed, inquiry) if can_narrow else None)
        return page(found, searching.passing(rows), sieve=searching.sieve())


def _narrowed(inquiry: Inquiry, field: str, numbers: Sequence[int]) -> list[Strand]:
    """The ranges of an index that have what a search is about."""
    if field == "task":
        return [strand for task_no in numbers for strand in of_task(inquiry, task_no, KEY)]
    if field == "executor":
        return [Strand("attempt", KEY, "executor_no = ?", (number,)) for number in numbers]
    found = (inquiry.by_status("attempt", KEY, words.STATUS_WORDS[number]) for number in numbers)
    return [strand for strands in found for strand in strands]


def attempt_count(inquiry: Inquiry, question: AttemptCountQuestion) -> Count:
    """How many attempts there are: all of those that an index counts, or as many as fit into
    the time."""
    values = inquiry.numbers(question)
    strands, served = _strands(inquiry, question, values)
    rows = None
    if values is not None and is_filtered(values, served):
        rows = rows_of(inquiry, values)
    since_ns, until_ns = window(question)
    order = Order(since_ns=since_ns, until_ns=until_ns)
    return Count(*count(inquiry.connection, strands, order, rows), str(inquiry.position))


def rows_of(inquiry: Inquiry, values: Mapping[str, Any]) -> Rows[AttemptRow]:
    """The attempts with keys (started_ns, attempt_key) that pass the filters in `values`."""
    return by_keys(inquiry.connection, SQL["attempts"], values, AttemptRow)


def _run_no(inquiry: Inquiry, task: str, run: str) -> int | None:
    """The number of a run, by its id as it is or as another tool shows it."""
    for run_id in ids.run_ids(run):
        number = lookup.find_run(inquiry.connection, inquiry.tenant, task, run_id)
        if number is not None:
            return number
    return None


def _strands(
    inquiry: Inquiry,
    question: AttemptsQuestion | AttemptCountQuestion,
    values: dict[str, Any] | None,
) -> tuple[list[Strand], str | None]:
    """The index ranges to read, and the filter that they serve."""
    if question.run is not None and question.task is None:
        raise BadQuestion([("run", "a run is known by its task and its id: give `task` too")])
    if values is None:
        return [], None
    if question.run is not None:
        run_no = _run_no(inquiry, question.task or "", question.run)
        if run_no is None:
            return [], None
        low = run_no << words.NUMBER_BITS
        bounds = (low, low + words.NUMBER_LIMIT)
        return [Strand("attempt", KEY, "attempt_key BETWEEN ? AND ?", bounds)], "task"
    if values["task"] is not None:
        return of_task(inquiry, values["task"], KEY), "task"
    if values["executor"] is not None:
        return [Strand("attempt", KEY, "executor_no = ?", (values["executor"],))], "executor"
    return inquiry.by_status("attempt", KEY, question.status), "status"


def of_task(
    inquiry: Inquiry, task_no: int, key: tuple[str, str], shown: tuple[str, ...] = ()
) -> list[Strand]:
    """The attempts of a task, in an order for which there is an index: those that the index has,
    and the one that it spares."""
    first_key = lookup.first_run(inquiry.connection, task_no) << words.NUMBER_BITS | 1
    return [
        Strand("attempt", key, "task_no = ? AND is_first = 0", (task_no,), shown),
        Strand("attempt", key, "attempt_key = ?", (first_key,), shown),
    ]


def attempt(tenant: str, verdicts: Verdicts, row: AttemptRow) -> Attempt:
    """The record of a row."""
    number = row.attempt_key & words.NUMBER_LIMIT
    duration_ns = None if row.ended_ns is None else row.ended_ns - row.started_ns
    wait_ns = None if row.queued_ns is None else row.started_ns - row.queued_ns
    return Attempt(
        attempt_id=words.attempt_id(tenant, row.task_id, row.run_id, number),
        task_id=row.task_id,
        task_name=row.task_name,
        run_id=row.run_id,
        group_id=row.group_id,
        attempt=number,
        status=words.STATUS_WORDS[row.status],
        inferred=inferred(row.flags),
        queued_at=rfc3339(row.queued_ns),
        started_at=rfc3339(row.started_ns),
        ended_at=rfc3339(row.ended_ns),
        queued_ns=row.queued_ns,
        started_ns=row.started_ns,
        ended_ns=row.ended_ns,
        duration_ns=duration_ns,
        duration_s=seconds(duration_ns),
        queue_wait_ns=wait_ns,
        queue_wait_s=seconds(wait_ns),
        progress=row.progress,
        queue=row.queue,
        executor=row.executor,
        tool=row.tool,
        model=row.model,
        planner=row.planner,
        host=row.host,
        component=row.component,
        environment=row.environment,
        error=failure(verdicts, row),
        trace_id=row.trace_id.hex() or None,
        span_id=row.span_id.hex() or None,
        retry_of=None
        if row.retry_of is None
        else words.attempt_id(tenant, row.task_id, row.run_id, row.retry_of),
        backfilled=bool(row.flags & words.FLAG_BACKFILLED),
        system=row.system,
        rule=row.rule,
        max_attempts=row.max_attempts,
        **shown_of(row.extra),
    )


def inferred(flags: int) -> list[str]:
    """Names of the fields that were concluded instead of said by the sender."""
    names = []
    if flags & (words.FLAG_NUMBER_BY_ORDER | words.FLAG_NUMBER_MOVED):
        names.append("attempt")
    if flags & (words.FLAG_STATUS_INFERRED | words.FLAG_OUTCOME_INFERRED):
        names.append("status")
    return names


ENDPOINTS: Final = (
    Endpoint(
        "attempts", "Attempts: every single try, newest start first.",
        AttemptsQuestion, Page[Attempt], ("attempts",), attempts, joins=JOINS,
    ),
    Endpoint(
        "metrics/attempts", "How many attempts there are that a list of them would have.",
        AttemptCountQuestion, Count, ("attempts",), attempt_count,
    ),
)  # fmt: skip

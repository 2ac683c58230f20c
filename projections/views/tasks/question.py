"""Tasks: lists, and one by its id."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.errors.verdicts import Verdicts
from projections.query import lookup
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered
from projections.query.listing import Strand
from projections.query.parameters import (
    Backfilled,
    ByStart,
    Component,
    Executor,
    ListQuestion,
    MinAttempts,
    Model,
    Prefix,
    Question,
    Since,
    TaskId,
    TaskStatus,
    Until,
)
from projections.query.records import Behind, Failure, Ns, Page, RanBy, Rfc3339, failure
from projections.query.rows import by_keys
from projections.runs import words

SQL = load_queries("projections.views.tasks", "question.sql")
TASK_KEY = ("last_started_ns", "task_no")
JOINS: Final = {
    "runs": (
        "total_execution_ns", "total_execution_s", "last_ended_at", "last_ended_ns",
        "last_run_status", "error",
    ),
}  # fmt: skip
TASK_ID: Final = "The task's id, percent-encoded; it may hold any character, slashes too."


class Task(RanBy, frozen=True, kw_only=True):
    """A unit of work known by its id, with the state of its latest run and newest attempt."""

    task_id: str
    name: str | None
    status: str
    runs: int
    attempts: Annotated[int, Meta(description="Over all runs")]
    retries: Annotated[int, Meta(description="Over all runs")]
    recovered_runs: int
    backfilled: Annotated[bool, Meta(description="Any of its runs was imported")]
    total_execution_ns: Annotated[int, Meta(description="Of the latest run")] | None
    total_execution_s: float | None
    first_started_at: Rfc3339 | None
    first_started_ns: Ns
    last_started_at: Rfc3339 | None
    last_started_ns: Ns
    last_ended_at: Annotated[str, Meta(description="Last end in the latest run")] | None
    last_ended_ns: Ns | None
    updated_at: Rfc3339 | None
    updated_ns: Ns
    last_run_id: str
    last_run_status: str | None
    component: str | None
    error: Annotated[Failure, Meta(description="Newest failure of the latest run")] | None


class OneTask(Task, frozen=True, kw_only=True):
    """A task that was asked for by its id."""

    behind: Behind = []


class TasksQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of tasks; times are those of a task's last start."""

    task: TaskId | None = None
    status: TaskStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


class _TaskRow(NamedTuple):
    """A row of the statement `tasks`."""

    last_started_ns: int
    task_no: int
    task_id: str
    name: str | None
    status: int
    runs: int
    attempts: int
    retries: int
    recovered_runs: int
    backfilled_runs: int
    first_started_ns: int
    updated_ns: int
    run_id: str
    last_ended_ns: int | None
    total_execution_ns: int | None
    run_status: int | None
    executor: str | None
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None
    component: str | None
    stack_hash: str | None
    fingerprint: str | None
    signature: bytes | None
    error_message: str | None


def tasks(inquiry: Inquiry, question: TasksQuestion) -> Page[Task]:
    """Tasks by the start of their newest attempt."""
    values = inquiry.numbers(question)
    strands: Sequence[Strand] = ()
    served = "status"
    if values is not None and values["task"] is not None:
        strands, served = [Strand("task", TASK_KEY, "task_no = ?", (values["task"],))], "task"
    elif values is not None and values["executor"] is not None:
        strands = [Strand("task", TASK_KEY, "executor_no = ?", (values["executor"],))]
        served = "executor"
    elif values is not None:
        strands = inquiry.by_status("task", TASK_KEY, question.status)
    return inquiry.page(
        question, strands, by_keys(inquiry.connection, SQL["tasks"], values or {}, _TaskRow),
        partial(_task, inquiry.verdicts),
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip


def task(inquiry: Inquiry, question: Question, task_id: str) -> OneTask:
    """One task."""
    task_no = lookup.find_task(inquiry.connection, inquiry.tenant, task_id)
    keys = inquiry.connection.execute(SQL["task_key"], {"task": task_no}).fetchall()
    values = inquiry.numbers(question)
    rows = by_keys(inquiry.connection, SQL["tasks"], values or {}, _TaskRow)(keys)
    if not rows:
        raise NotFound(f"no task {task_id[:200]!r}")
    (row,) = rows.values()
    fields = msgspec.structs.asdict(inquiry.current(_task(inquiry.verdicts, row)))
    return OneTask(**fields, behind=inquiry.seen.behind)


def _task(verdicts: Verdicts, row: _TaskRow) -> Task:
    return Task(
        task_id=row.task_id,
        name=row.name,
        status=words.STATUS_WORDS[row.status],
        runs=row.runs,
        attempts=row.attempts,
        retries=row.retries,
        recovered_runs=row.recovered_runs,
        backfilled=row.backfilled_runs > 0,
        total_execution_ns=row.total_execution_ns,
        total_execution_s=seconds(row.total_execution_ns),
        first_started_at=rfc3339(row.first_started_ns),
        first_started_ns=row.first_started_ns,
        last_started_at=rfc3339(row.last_started_ns),
        last_started_ns=row.last_started_ns,
        last_ended_at=rfc3339(row.last_ended_ns),
        last_ended_ns=row.last_ended_ns,
        updated_at=rfc3339(row.updated_ns),
        updated_ns=row.updated_ns,
        last_run_id=row.run_id,
        last_run_status=None if row.run_status is None else words.STATUS_WORDS[row.run_status],
        executor=row.executor,
        tool=row.tool,
        model=row.model,
        planner=row.planner,
        host=row.host,
        component=row.component,
        error=failure(verdicts, row),
    )


ENDPOINTS: Final = (
    Endpoint(
        "tasks", "Tasks with the state of their latest run, newest start first.",
        TasksQuestion, Page[Task], ("tasks",), tasks, joins=JOINS,
    ),
    Endpoint(
        "tasks/{task_id}", "One task.", Question, OneTask, ("tasks",), task, TASK_ID, JOINS,
    ),
)  # fmt: skip

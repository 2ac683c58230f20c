"""Tasks: lists, and one by its id."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.query import lookup as numbers
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, is_filtered
from projections.query.listing import Strand, lookup
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
from projections.query.records import Failure, Ns, Page, RanBy, Rfc3339
from projections.runs import words
from projections.views.attempts.question import READS, failure

SQL = load_queries("projections.views.tasks", "question.sql")
TASK_KEY = ("last_started_ns", "task_no")
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
    found, next_ = inquiry.page(
        question, strands, lookup(inquiry.connection, SQL["tasks"], values or {}),
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    return Page([_task(row) for row in found.rows], next_, str(inquiry.position), found.complete)


def task(inquiry: Inquiry, question: Question, task_id: str) -> Task:
    """One task."""
    task_no = numbers.find_task(inquiry.connection, inquiry.tenant, task_id)
    keys = inquiry.connection.execute(SQL["task_key"], {"task": task_no}).fetchall()
    values = inquiry.numbers(question)
    found = lookup(inquiry.connection, SQL["tasks"], values or {})(keys)
    if not found:
        raise NotFound(f"no task {task_id[:200]!r}")
    return _task(next(iter(found.values())))


def _task(row: tuple[Any, ...]) -> Task:
    (
        last_started_ns, _, task_id, name, status, runs_, attempts, retries, recovered_runs,
        backfilled_runs, first_started_ns, updated_ns, run_id, last_ended_ns, total_execution_ns,
        run_status, executor, tool, model, planner, host, component, error_type, stack_hash,
        fingerprint, error_message,
    ) = row  # fmt: skip
    return Task(
        task_id=task_id,
        name=name,
        status=words.STATUS_WORDS[status],
        runs=runs_,
        attempts=attempts,
        retries=retries,
        recovered_runs=recovered_runs,
        backfilled=backfilled_runs > 0,
        total_execution_ns=total_execution_ns,
        total_execution_s=seconds(total_execution_ns),
        first_started_at=rfc3339(first_started_ns),
        first_started_ns=first_started_ns,
        last_started_at=rfc3339(last_started_ns),
        last_started_ns=last_started_ns,
        last_ended_at=rfc3339(last_ended_ns),
        last_ended_ns=last_ended_ns,
        updated_at=rfc3339(updated_ns),
        updated_ns=updated_ns,
        last_run_id=run_id,
        last_run_status=None if run_status is None else words.STATUS_WORDS[run_status],
        executor=executor,
        tool=tool,
        model=model,
        planner=planner,
        host=host,
        component=component,
        error=failure(error_type, error_message, stack_hash, fingerprint),
    )


ENDPOINTS: Final = (
    Endpoint(
        "tasks", "Tasks with the state of their latest run, newest start first.",
        TasksQuestion, Page[Task], READS, tasks,
    ),
    Endpoint("tasks/{task_id}", "One task.", Question, Task, READS, task, TASK_ID),
)  # fmt: skip

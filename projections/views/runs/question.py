"""Runs: all of them, or those of one task."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.errors.verdicts import Verdicts
from projections.query import ids, lookup
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
    RunStatus,
    Since,
    TaskId,
    Text,
    Until,
)
from projections.query.records import Failure, Hex, Ns, Page, RanBy, Rfc3339, failure
from projections.query.rows import Key, Rows, by_keys
from projections.runs import words
from projections.views.attempts.question import KEY as ATTEMPT_KEY
from projections.views.tasks.question import TASK_ID

SQL = load_queries("projections.views.runs", "question.sql")
RUN_KEY = ("last_started_ns", "run_no")
READS: Final = ("runs",)
JOINS: Final = {
    "tasks": ("task_name",),
    "attempts": ("trace_id", "trace_ids"),  # and lists of an executor go by them
}


TASKS_TRIED: Final = 500
"""In how many tasks a run is looked up by its id alone: some 0.1 ms each. Where there are more,
runs are looked through, the newest first."""


class Run(RanBy, frozen=True, kw_only=True):
    """One logical execution of a task; what ran it is that of its newest attempt."""

    run_id: str
    task_id: str
    task_name: str | None
    group_id: Annotated[str, Meta(description="DAG, flow or pipeline run")] | None
    status: str
    attempts: int
    retries: Annotated[int, Meta(description="Attempts - 1")]
    left_out: Annotated[int, Meta(description="Attempts that are counted here but not listed")]
    recovered: Annotated[bool, Meta(description="Completed after a failed attempt")]
    queued_at: Rfc3339 | None
    queued_ns: Ns | None
    first_started_at: Rfc3339 | None
    first_started_ns: Ns | None
    last_started_at: Annotated[str, Meta(description="Start of the newest attempt")] | None
    last_started_ns: Ns
    last_ended_at: Rfc3339 | None
    last_ended_ns: Ns | None
    total_execution_ns: Annotated[int, Meta(description="Durations of the attempts, summed")]
    total_execution_s: float
    wall_clock_ns: Annotated[int, Meta(description="Last end - first start")] | None
    wall_clock_s: float | None
    idle_ns: Annotated[int, Meta(description="Wall clock - execution, never below 0")] | None
    idle_s: float | None
    overlap_ns: Annotated[int, Meta(description="Execution beyond the wall clock")]
    progress: Annotated[float, Meta(description="Share done, as last told")] | None
    component: str | None
    error: Annotated[Failure, Meta(description="Of the newest attempt that failed")] | None
    backfilled: bool
    trace_id: Annotated[Hex, Meta(description="That of the first attempt")] | None
    trace_ids: Annotated[
        list[Hex], Meta(description="The first 100, in order of their first attempt")
    ]
    parents: list[str]
    causes: list[str]


class RunsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of runs."""

    task: TaskId | None = None
    run: Annotated[Text, Meta(description="Only runs with this id.")] | None = None
    status: RunStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    q: Prefix | None = None
    sort: ByStart = "-started"


class TaskRunsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of the list of one task's runs."""

    status: RunStatus | None = None
    since: Since | None = None
    until: Until | None = None
    executor: Executor | None = None
    model: Model | None = None
    component: Component | None = None
    backfilled: Backfilled | None = None
    min_attempts: MinAttempts | None = None
    sort: ByStart = "-started"


class RunRow(NamedTuple):
    """A row of the statement `runs`."""

    last_started_ns: int
    run_no: int
    task_id: str
    task_name: str | None
    run_id: str
    group_id: str | None
    status: int
    attempts: int
    left_out: int
    recovered: int
    backfilled: int
    first_started_ns: int | None
    last_ended_ns: int | None
    total_execution_ns: int
    wall_clock_ns: int | None
    idle_ns: int | None
    overlap_ns: int
    queued_ns: int | None
    progress: float | None
    trace_ids: bytes
    parents: str | None
    causes: str | None
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


class _NewestRow(NamedTuple):
    """A row of the statement `runs_by_attempt`."""

    started_ns: int
    attempt_key: int
    run_no: int


def runs(inquiry: Inquiry, question: RunsQuestion) -> Page[Run]:
    """Runs by the start of their newest attempt."""
    values = inquiry.numbers(question)
    if values is not None:
        values["run"] = None if question.run is None else json.dumps(ids.run_ids(question.run))
    rows = by_keys(inquiry.connection, SQL["runs"], values or {}, RunRow)
    strands: Sequence[Strand] = ()
    served = "status"
    if values is not None and question.run is not None and question.task is not None:
        found = _by_id(inquiry, question.task, question.run)
        strands, served = [Strand("run", RUN_KEY, "run_no = ?", (one,)) for one in found], "task"
    elif values is not None and values["task"] is not None:
        strands, served = _of_task(inquiry, values["task"]), "task"
    elif values is not None and values["executor"] is not None:
        strands = [Strand("attempt", ATTEMPT_KEY, "executor_no = ?", (values["executor"],))]
        rows = _through_attempts(inquiry, rows)
        served = "executor"  # but attempts that are not the newest of their run are left out
    elif values is not None:
        numbers = None if question.run is None else _of_any_task(inquiry, question.run)
        if numbers is None:
            strands = inquiry.by_status("run", RUN_KEY, question.status)
        else:
            strands, served = [Strand("run", RUN_KEY, "run_no = ?", (n,)) for n in numbers], "run"
    return inquiry.page(
        question, strands, rows, partial(run, inquiry.verdicts),
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip


def _of_any_task(inquiry: Inquiry, run_id: str) -> list[int] | None:
    """The runs that have an id, each of another task; None if there are too many tasks to try."""
    if inquiry.tenant_no is None:
        return []
    tried = (inquiry.tenant_no, TASKS_TRIED + 1)
    tasks = [task for (task,) in inquiry.connection.execute(SQL["some_tasks"], tried)]
    if len(tasks) > TASKS_TRIED:
        return None
    return [run_no for task in tasks for run_no in _by_id(inquiry, task, run_id)]


def _by_id(inquiry: Inquiry, task_id: str, run_id: str) -> list[int]:
    """The run of a task with this id, as it is or as another tool shows it."""
    spelt = ids.run_ids(run_id)
    tried = (lookup.find_run(inquiry.connection, inquiry.tenant, task_id, one) for one in spelt)
    return [run_no for run_no in tried if run_no is not None][:1]


def _of_task(inquiry: Inquiry, task_no: int) -> list[Strand]:
    """The runs of a task: those that the index by task has, and the first."""
    first = lookup.first_run(inquiry.connection, task_no)
    return [
        Strand("run", RUN_KEY, "task_no = ? AND is_first = 0", (task_no,)),
        Strand("run", RUN_KEY, "run_no = ?", (first,)),
    ]


def _through_attempts(inquiry: Inquiry, rows: Rows[RunRow]) -> Rows[RunRow]:
    """Rows of runs by the keys of their newest attempts, which come in the same order."""
    newest = by_keys(inquiry.connection, SQL["runs_by_attempt"], {}, _NewestRow)

    def through(keys: Sequence[Key]) -> dict[Key, RunRow]:
        run_keys = {key: (row.started_ns, row.run_no) for key, row in newest(keys).items()}
        runs_ = rows(list(run_keys.values()))
        return {key: runs_[run_key] for key, run_key in run_keys.items() if run_key in runs_}

    return through


def runs_of_task(inquiry: Inquiry, question: TaskRunsQuestion, task_id: str) -> Page[Run]:
    """Runs of one task by the start of their newest attempt."""
    if lookup.find_task(inquiry.connection, inquiry.tenant, task_id) is None:
        raise NotFound(f"no task {task_id[:200]!r}")
    fields = msgspec.structs.asdict(question)
    return runs(inquiry, RunsQuestion(**fields, task=task_id))


def run(verdicts: Verdicts, row: RunRow) -> Run:
    """The record of a row."""
    return Run(
        run_id=row.run_id,
        task_id=row.task_id,
        task_name=row.task_name,
        group_id=row.group_id,
        status=words.STATUS_WORDS[row.status],
        attempts=row.attempts,
        retries=max(row.attempts - 1, 0),
        left_out=row.left_out,
        recovered=bool(row.recovered),
        queued_at=rfc3339(row.queued_ns),
        queued_ns=row.queued_ns,
        first_started_at=rfc3339(row.first_started_ns),
        first_started_ns=row.first_started_ns,
        last_started_at=rfc3339(row.last_started_ns),
        last_started_ns=row.last_started_ns,
        last_ended_at=rfc3339(row.last_ended_ns),
        last_ended_ns=row.last_ended_ns,
        total_execution_ns=row.total_execution_ns,
        total_execution_s=row.total_execution_ns / 1e9,
        wall_clock_ns=row.wall_clock_ns,
        wall_clock_s=seconds(row.wall_clock_ns),
        idle_ns=row.idle_ns,
        idle_s=seconds(row.idle_ns),
        overlap_ns=row.overlap_ns,
        progress=row.progress,
        executor=row.executor,
        tool=row.tool,
        model=row.model,
        planner=row.planner,
        host=row.host,
        component=row.component,
        error=failure(verdicts, row),
        backfilled=bool(row.backfilled),
        trace_id=row.trace_ids[:16].hex() or None,
        trace_ids=[row.trace_ids[at : at + 16].hex() for at in range(0, len(row.trace_ids), 16)],
        parents=msgspec.json.decode(row.parents) if row.parents else [],
        causes=msgspec.json.decode(row.causes) if row.causes else [],
    )


ENDPOINTS: Final = (
    Endpoint(
        "tasks/{task_id}/runs", "The runs of one task, newest start first.",
        TaskRunsQuestion, Page[Run], READS, runs_of_task, TASK_ID, JOINS,
    ),
    Endpoint(
        "runs", "Runs: executions of tasks with all their retries, newest start first.",
        RunsQuestion, Page[Run], READS, runs, joins=JOINS,
    ),
)  # fmt: skip

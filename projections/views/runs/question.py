"""Runs and tasks: lists, and a task by its id."""

from collections.abc import Sequence
from typing import Any

import msgspec

from events.errors import NotFound
from events.log.sqlite import load_queries
from events.times import rfc3339, seconds
from projections.query import lookup as numbers
from projections.query.inquiry import Asked, is_filtered
from projections.query.listing import Key, Rows, Strand, lookup
from projections.query.parameters import Question, RunsQuestion, TaskRunsQuestion, TasksQuestion
from projections.query.records import Page, Run, Task
from projections.runs import words
from projections.views.attempts.question import KEY as ATTEMPT_KEY
from projections.views.attempts.question import failure

SQL = load_queries("projections.views.runs", "question.sql")
RUN_KEY = ("last_started_ns", "run_no")
TASK_KEY = ("last_started_ns", "task_no")


def runs(asked: Asked, question: RunsQuestion) -> Page[Run]:
    """Runs by the start of their newest attempt."""
    values = asked.numbers(question)
    rows = lookup(asked.connection, SQL["runs"], values or {})
    strands: Sequence[Strand] = ()
    served = "status"
    if values is not None and values["task"] is not None:
        strands, served = [Strand("run", RUN_KEY, "task_no = ?", (values["task"],))], "task"
    elif values is not None and values["executor"] is not None:
        strands = [Strand("attempt", ATTEMPT_KEY, "executor_no = ?", (values["executor"],))]
        rows = _through_attempts(asked, rows)
        served = "executor"  # but attempts that are not the newest of their run are left out
    elif values is not None:
        strands = asked.by_status("run", RUN_KEY, question.status)
    found, next_ = asked.page(
        question, strands, rows,
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    return Page([run(row) for row in found.rows], next_, str(asked.position), found.complete)


def _through_attempts(asked: Asked, rows: Rows) -> Rows:
    """Rows of runs by the keys of their newest attempts, which come in the same order."""
    newest = lookup(asked.connection, SQL["runs_by_attempt"], {})

    def through(keys: Sequence[Key]) -> dict[Key, Any]:
        run_keys = {key: (key[0], row[2]) for key, row in newest(keys).items()}
        found = rows(list(run_keys.values()))
        return {key: found[run_key] for key, run_key in run_keys.items() if run_key in found}

    return through


def runs_of_task(asked: Asked, question: TaskRunsQuestion, task_id: str) -> Page[Run]:
    """Runs of one task by the start of their newest attempt."""
    if numbers.find_task(asked.connection, asked.tenant, task_id) is None:
        raise NotFound(f"no task {task_id[:200]!r}")
    fields = msgspec.structs.asdict(question)
    return runs(asked, RunsQuestion(**fields, task=task_id))


def tasks(asked: Asked, question: TasksQuestion) -> Page[Task]:
    """Tasks by the start of their newest attempt."""
    values = asked.numbers(question)
    strands: Sequence[Strand] = ()
    served = "status"
    if values is not None and values["task"] is not None:
        strands, served = [Strand("task", TASK_KEY, "task_no = ?", (values["task"],))], "task"
    elif values is not None and values["executor"] is not None:
        strands = [Strand("task", TASK_KEY, "executor_no = ?", (values["executor"],))]
        served = "executor"
    elif values is not None:
        strands = asked.by_status("task", TASK_KEY, question.status)
    found, next_ = asked.page(
        question, strands, lookup(asked.connection, SQL["tasks"], values or {}),
        newest_first=question.sort == "-started",
        filtered=values is not None and is_filtered(values, served),
    )  # fmt: skip
    return Page([_task(row) for row in found.rows], next_, str(asked.position), found.complete)


def task(asked: Asked, question: Question, task_id: str) -> Task:
    """One task."""
    task_no = numbers.find_task(asked.connection, asked.tenant, task_id)
    keys = asked.connection.execute(SQL["task_key"], {"task": task_no}).fetchall()
    values = asked.numbers(question)
    found = lookup(asked.connection, SQL["tasks"], values or {})(keys)
    if not found:
        raise NotFound(f"no task {task_id[:200]!r}")
    return _task(next(iter(found.values())))


def run(row: tuple[Any, ...]) -> Run:
    """The record of a row of the statement `runs`."""
    (
        last_started_ns, _, task_id, task_name, run_id, group_id, status, attempts, recovered,
        backfilled, first_started_ns, last_ended_ns, total_execution_ns, wall_clock_ns, idle_ns,
        overlap_ns, queued_ns, progress, trace_ids, parents, causes, executor, tool, model,
        planner, host, component, error_type, stack_hash, fingerprint, error_message,
    ) = row  # fmt: skip
    return Run(
        run_id=run_id,
        task_id=task_id,
        task_name=task_name,
        group_id=group_id,
        status=words.STATUS_WORDS[status],
        attempts=attempts,
        retries=max(attempts - 1, 0),
        recovered=bool(recovered),
        queued_at=rfc3339(queued_ns),
        queued_ns=queued_ns,
        first_started_at=rfc3339(first_started_ns),
        first_started_ns=first_started_ns,
        last_started_at=rfc3339(last_started_ns),
        last_started_ns=last_started_ns,
        last_ended_at=rfc3339(last_ended_ns),
        last_ended_ns=last_ended_ns,
        total_execution_ns=total_execution_ns,
        total_execution_s=total_execution_ns / 1e9,
        wall_clock_ns=wall_clock_ns,
        wall_clock_s=seconds(wall_clock_ns),
        idle_ns=idle_ns,
        idle_s=seconds(idle_ns),
        overlap_ns=overlap_ns,
        progress=progress,
        executor=executor,
        tool=tool,
        model=model,
        planner=planner,
        host=host,
        component=component,
        error=failure(error_type, error_message, stack_hash, fingerprint),
        backfilled=bool(backfilled),
        trace_ids=[trace_ids[at : at + 16].hex() for at in range(0, len(trace_ids), 16)],
        parents=msgspec.json.decode(parents) if parents else [],
        causes=msgspec.json.decode(causes) if causes else [],
    )


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

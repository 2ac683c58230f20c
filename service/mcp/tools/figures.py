"""`task_stats`: how a task fares, or the tasks that started last."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from projections.intervals import wilson
from service.mcp.tools.patterns import short_pattern
from service.mcp.tools.tool import (
    Document,
    Since,
    Source,
    TaskId,
    Tool,
    counted,
    unknown_task,
)

_PATTERNS: Final = 5


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which task, in which steps of time."""

    task_id: TaskId | None = None
    bucket: Annotated[
        Literal["hour", "day"], Meta(description="Steps of the trend of one task.")
    ] = "day"
    since: Since | None = None
    limit: Annotated[
        int, Meta(ge=1, le=100, description="At most so many steps, or tasks without task_id.")
    ] = 14


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    if asked.task_id is None:
        return _overview(source, limit)
    lines = source.ask("metrics/tasks", {"task": asked.task_id, "by": "task", "limit": 1})["items"]
    tasks = source.ask("tasks", {"task": asked.task_id, "limit": 1})["items"]
    if not lines or not tasks:
        raise unknown_task(source, asked.task_id)
    task = tasks[0]
    trend = source.ask(
        "metrics/tasks",
        {"task": asked.task_id, "bucket": asked.bucket, "since": asked.since,
         "limit": limit},
    )  # fmt: skip
    patterns = source.ask("errors", {"task": asked.task_id, "limit": _PATTERNS})["items"]
    figures = _figures(lines[0])
    return {
        "summary": f"Task {asked.task_id} is {task['status']}. {_sentence(figures)}",
        "more": f"raise limit for {asked.bucket}s before" if trend["next"] is not None else None,
        "status": task["status"],
        "last_run": {
            "run_id": task["last_run_id"],
            "status": task["last_run_status"],
            "started_at": task["last_started_at"],
            "ended_at": task["last_ended_at"],
        },
        "figures": figures,
        "trend": [_step(line) for line in trend["items"]],
        "error_patterns": [short_pattern(pattern) for pattern in patterns],
    }


def _overview(source: Source, limit: int) -> Document:
    answer = source.ask("metrics/tasks", {"by": "task", "limit": limit})
    tasks = [{"task_id": line["task_id"], **_figures(line)} for line in answer["items"]]
    return {
        "summary": f"{counted(len(tasks), 'task')}, those that started last first.",
        "more": "raise limit, or give a task_id" if answer["next"] is not None else None,
        "tasks": tasks,
    }


def _figures(line: Document) -> Document:
    """The figures of an API line, with the intervals of its rates."""
    return {
        "runs": line["runs"],
        "completed_runs": line["completed_runs"],
        "failed_runs": line["failed_runs"],
        "recovered_runs": line["recovered_runs"],
        "run_success_rate": _rounded(line["run_success_rate"]),
        "run_interval_95": _interval(line["completed_runs"], line["failed_runs"]),
        "attempts": line["executions"],
        "successes": line["successes"],
        "failures": line["failures"],
        "attempt_success_rate": _rounded(line["success_rate"]),
        "attempt_interval_95": _interval(line["successes"], line["failures"]),
        "retries": line["retries"],
        "duration_s": {name: _rounded(value) for name, value in line["duration_s"].items()},
    }


def _step(line: Document) -> Document:
    return {
        "from": line["bucket_start"],
        "attempts": line["executions"],
        "successes": line["successes"],
        "failures": line["failures"],
        "retries": line["retries"],
        "p50_s": _rounded(line["duration_s"]["p50"]),
        "p95_s": _rounded(line["duration_s"]["p95"]),
    }


def _interval(successes: int, failures: int) -> list[float]:
    return [round(bound, 4) for bound in wilson(successes, successes + failures)]


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _sentence(figures: Document) -> str:
    ended = figures["completed_runs"] + figures["failed_runs"]
    if not ended:
        return "No run of it has ended yet."
    told = (
        f"{figures['completed_runs']:,} of {counted(ended, 'ended run')} completed, "
        f"{figures['recovered_runs']:,} of them after a failed try"
    )
    median_s = figures["duration_s"]["p50"]
    return f"{told}; half of the tries end within {median_s:g} s." if median_s else f"{told}."


TOOL: Final = Tool(
    "task_stats",
    "Figures of a task",
    "How a task fares: success rates of runs and of tries with 95 % intervals, retries, "
    "recoveries, durations, a trend by hour or day, its error patterns. Without task_id: a line "
    "for each of the tasks that started last.",
    Arguments,
    run,
    limit=14,
)

"""`/tasks/{id}`: one task: its state, figures, trend, and the tries of its latest run."""

from typing import Any, Final

from events.times import human_duration
from service.web.charts.columns import Column, columns
from service.web.charts.tries import tries_of
from service.web.pages.lists import Listed, listed
from service.web.statuses import RUN_WORDS
from service.web.visit import Page, Shown, Table, Visit

_BUCKETS: Final = "60"
_TRIES: Final = "100"
_RUNS: Final = 25
_EXECUTORS: Final = "20"
_NS: Final = 1_000_000_000


def task(visit: Visit) -> Shown | Table:
    """One task."""
    (task_id,) = visit.arguments
    record = visit.ask("tasks/{task_id}", task_id)
    runs = listed(visit, "tasks/{task_id}/runs", task_id, rows=_RUNS)
    if isinstance(runs, Table):
        return runs
    latest = visit.ask("attempts", task=task_id, run=record.last_run_id, limit=_TRIES)
    lines = visit.ask("metrics/tasks", task=task_id, limit=_EXECUTORS).items
    values = {
        "task": record,
        "chart": tries_of(latest.items, visit.now_ns),
        "whole": next((line for line in lines if line.executor is None), None),
        "executors": [line for line in lines if line.executor is not None],
        "trend": _trend(visit, task_id),
        "words": RUN_WORDS,
        **_runs(runs, visit),
    }
    return Shown("task.html.j2", task_id, values)


def _runs(runs: Listed, visit: Visit) -> dict[str, Any]:
    return {"runs": runs.page, "filters": runs.filters, "given": visit.parameters}


def _trend(visit: Visit, task_id: str) -> dict[str, Any]:
    """Columns of hours, or of days where hours would show less than two days."""
    for bucket in ("hour", "day"):
        page = visit.ask("metrics/tasks", task=task_id, bucket=bucket, limit=_BUCKETS)
        if page.next is None:
            break
    lines = list(reversed(page.items))
    data = [
        Column(
            line.successes, line.failures,
            f"{line.bucket_start}: {line.successes:,} succeeded, {line.failures:,} failed"
            + (f", p95 {human_duration(line.duration_s.p95 * _NS)}" if line.duration_s.p95 else ""),
        )
        for line in lines
    ]  # fmt: skip
    first = lines[0].bucket_start_ns if lines else None
    return {"bucket": bucket, "chart": columns(data), "count": len(data), "first_ns": first}


PAGES: Final = (Page("tasks/{task_id}", task),)

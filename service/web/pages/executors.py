"""`/executors`: who does which task how well: a matrix of executors and tasks."""

from typing import Any, Final

from projections.intervals import wilson
from service.web.visit import Page, Shown, Visit

_TASKS: Final = 8
"""Columns of the matrix."""
_LINES: Final = "500"
_GOOD: Final = 0.9
_BAD: Final = 0.5


def executors(visit: Visit) -> Shown:
    """The matrix, of the tasks that started last."""
    visit.refuse_others("task", "executor", "q")
    given = visit.parameters
    found = visit.ask(
        "metrics/tasks", by="executor", limit=_LINES, task=given["task"] or None,
        executor=given["executor"] or None, q=given["q"] or None,
    )  # fmt: skip
    lines = [line for line in found.items if line.executor is not None]
    tasks = list(dict.fromkeys(line.task_id for line in lines))
    shown = tasks[:_TASKS]
    cells: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.task_id in shown:
            cells.setdefault(line.executor, {})[line.task_id] = _cell(line)
    rows = [(executor, cells[executor]) for executor in sorted(cells)]
    values = {
        "tasks": shown, "rows": rows, "given": given,
        "more": len(tasks) > len(shown) or found.next is not None,
    }  # fmt: skip
    return Shown("executors.html.j2", "Executors", values)


def _cell(line: Any) -> dict[str, Any]:
    """A task's figures on an executor; good or bad only where its interval says so."""
    trials = line.successes + line.failures
    low, high = wilson(line.successes, trials)
    kind = "completed" if low >= _GOOD else "failed" if trials and high <= _BAD else ""
    return {
        "successes": line.successes, "trials": trials, "rate": line.success_rate, "low": low,
        "high": high, "kind": kind, "p50_s": line.duration_s.p50,
    }  # fmt: skip


PAGES: Final = (Page("executors", executors),)

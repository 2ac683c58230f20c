"""`/tasks/{task}/runs/{run}`: one run: all its tries along time, and two of them compared."""

from collections.abc import Sequence
from typing import Any, Final

from events.errors import NotFound
from service.web.charts.tries import tries_of
from service.web.comparison import compared
from service.web.visit import Page, Shown, Visit

_TRIES: Final = "200"


def run(visit: Visit) -> Shown:
    """One run."""
    visit.refuse_others("compare", "cursor", "sort")
    task_id, run_id = visit.arguments
    found = visit.ask("runs", task=task_id, run=run_id, limit="1").items
    if not found:
        raise NotFound(f"no run {run_id[:200]!r} of task {task_id[:200]!r}")
    (record,) = found
    page = visit.ask(
        "attempts", task=task_id, run=record.run_id, limit=_TRIES,
        sort=visit.parameters["sort"] or "started", cursor=visit.parameters.get("cursor"),
    )  # fmt: skip
    attempts = sorted(page.items, key=lambda attempt: attempt.attempt)
    values = {
        "run": record, "attempts": attempts, "page": page,
        "chart": tries_of(attempts, visit.now_ns), "elsewhere": visit.elsewhere(record.trace_id),
        "compared": _compared(visit, attempts), "given": visit.parameters,
    }  # fmt: skip
    return Shown("run.html.j2", f"{run_id} of {task_id}", values)


def _compared(visit: Visit, attempts: Sequence[Any]) -> Any:
    """Two neighbours: those asked for by the first one's number, else the last two."""
    asked = visit.parameters.get("compare", "")
    numbers = [attempt.attempt for attempt in attempts]
    if len(attempts) < 2:
        return None
    places = [place for place, number in enumerate(numbers) if str(number) == asked]
    at = places[0] if places else -2
    if at == len(attempts) - 1:
        at -= 1
    at %= len(attempts)
    return compared(attempts[at], attempts[at + 1])


PAGES: Final = (Page("tasks/{task_id}/runs/{run_id}", run),)

"""`/runs`: executions of tasks with all their retries; `/runs/{id}` finds one by its id alone."""

from typing import Final

from events.errors import NotFound
from service.web.pages.lists import listed
from service.web.statuses import RUN_WORDS
from service.web.visit import Moved, Page, Said, Shown, Table, Visit


def runs(visit: Visit) -> Shown | Table:
    """The list of runs."""
    found = listed(visit, "runs")
    if isinstance(found, Table):
        return found
    values = {
        "page": found.page, "filters": found.filters, "given": visit.parameters,
        "words": RUN_WORDS, "heading": "Runs",
    }  # fmt: skip
    return Shown("runs.html.j2", "Runs", values)


def by_id(visit: Visit) -> Shown | Moved:
    """The run with an id, or the choice where several tasks have one."""
    visit.refuse_others()
    (run_id,) = visit.arguments
    page = visit.ask("runs", run=run_id, limit="50")
    if not page.items:
        more = "" if page.complete else " among the runs that could be searched in time"
        raise NotFound(f"no run {run_id[:200]!r}{more}")
    if len(page.items) == 1 and page.complete:
        (only,) = page.items
        return Moved(visit.links.run(only.task_id, only.run_id))
    values = {
        "page": page, "filters": Said(run=run_id), "given": Said(run=run_id), "words": RUN_WORDS,
        "heading": f"Runs {run_id}",
    }  # fmt: skip
    return Shown("runs.html.j2", f"Runs {run_id}", values)


PAGES: Final = (Page("runs", runs), Page("runs/{run_id}", by_id))

"""`/tasks`: every task with the state of its latest run."""

from typing import Final

from service.web.pages.lists import listed
from service.web.statuses import TASK_WORDS
from service.web.visit import Page, Shown, Table, Visit


def tasks(visit: Visit) -> Shown | Table:
    """The list of tasks."""
    found = listed(visit, "tasks")
    if isinstance(found, Table):
        return found
    values = {
        "page": found.page, "filters": found.filters, "given": visit.parameters,
        "words": TASK_WORDS,
    }  # fmt: skip
    return Shown("tasks.html.j2", "Tasks", values)


PAGES: Final = (Page("tasks", tasks),)

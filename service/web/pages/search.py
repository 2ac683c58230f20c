"""`/search`: where an id leads, or the attempts that pass a search with AND, OR and NOT."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from events.errors import NotFound
from projections.query.refusals import BadQuestion
from projections.views.attempts.search import FIELDS, MEASURES
from service.web.pages.attempt import WITHIN_S
from service.web.pages.lists import listed
from service.web.visit import Moved, Page, Said, Shown, Table, Visit

_EXAMPLES: Final = (
    ("timeout", "whatever says it: task, run, error, executor, …"),
    ("status:failed task:check*", "fields as a whole, or their beginning; both must hold"),
    ('error:"card declined"', "anywhere in an error; quotes keep words together"),
    ("NOT (model:large* OR attempt>=3)", "AND stands between all; OR, NOT and brackets"),
    ("duration>2s", "compared: duration, attempt"),
    ("http.response.status_code:503", "an attribute of its span, as it was sent"),
    ("@shop:north", "an attribute whose name has no dot"),
)
"""What a search may say, to try at once."""


def search(visit: Visit) -> Shown | Table | Moved:
    """What is sought: the thing that has this id, else attempts that say it."""
    sought = visit.parameters["q"].strip()
    if sought and len(visit.parameters) == 1:
        link = next(_places(visit, sought), None)
        if link is not None:
            return Moved(link)
    found = listed(visit.leaving_out("q"), "attempts", search=sought or None)
    if isinstance(found, Table):
        return found
    values = {
        "page": found.page, "given": visit.parameters, "sought": sought,
        "filters": Said({**found.filters, "q": sought} if sought else found.filters),
        "fields": (*FIELDS, *MEASURES), "examples": _EXAMPLES,
    }  # fmt: skip
    return Shown("search.html.j2", "Search", values)


def _places(visit: Visit, sought: str) -> Iterator[str]:
    """Pages of what has exactly this id, the likeliest first."""
    links = visit.links
    tries: tuple[tuple[Callable[[], object], str], ...] = (
        (lambda: visit.ask("tasks/{task_id}", sought), links.task(sought)),
        (lambda: visit.ask("traces/{trace_id}", sought, limit="1"), links.trace(sought)),
        (lambda: visit.ask("errors/{fingerprint}", sought), links.error(sought)),
    )
    for known, link in tries:
        try:
            known()
        except (NotFound, BadQuestion):
            continue
        yield link
    if len(sought) == 32:
        with suppress(NotFound, BadQuestion):
            yield links.attempt(visit.ask("attempts/{attempt_id}", sought, within_s=WITHIN_S))


PAGES: Final = (Page("search", search),)

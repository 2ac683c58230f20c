"""`/errors`: error patterns, failures that are the same error."""

from typing import Final, get_args

from projections.errors.classify.rule import Category, Severity
from projections.views.error_patterns.answers.course import State
from service.web.pages.lists import listed
from service.web.visit import Page, Shown, Table, Visit

_SORTS: Final = (
    ("-last_seen", "last seen first"),
    ("-count", "most failures first"),
    ("-first_seen", "newest first"),
)

_CHOICES: Final = (
    ("Category", "category", get_args(Category)),
    ("Severity", "severity", get_args(Severity)),
    ("State", "state", get_args(State)),
)


def errors(visit: Visit) -> Shown | Table:
    """The list of error patterns."""
    found = listed(visit, "errors")
    if isinstance(found, Table):
        return found
    values = {
        "page": found.page, "filters": found.filters, "given": visit.parameters, "sorts": _SORTS,
        "choices": _CHOICES,
    }  # fmt: skip
    return Shown("errors.html.j2", "Errors", values)


PAGES: Final = (Page("errors", errors),)

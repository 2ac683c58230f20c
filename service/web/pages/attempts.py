"""`/attempts`: single tries, by the filters that indexes serve."""

from typing import Final

from service.web.pages.lists import listed
from service.web.statuses import ATTEMPT_WORDS
from service.web.visit import Page, Shown, Table, Visit


def attempts(visit: Visit) -> Shown | Table:
    """The list of attempts."""
    found = listed(visit, "attempts")
    if isinstance(found, Table):
        return found
    values = {
        "page": found.page, "filters": found.filters, "given": visit.parameters,
        "words": ATTEMPT_WORDS,
    }  # fmt: skip
    return Shown("attempts.html.j2", "Attempts", values)


PAGES: Final = (Page("attempts", attempts),)

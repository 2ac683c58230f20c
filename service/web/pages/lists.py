"""What pages with a list share: its filters, its page, its file."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from projections.query.parameters import LIMIT
from projections.query.refusals import BadQuestion
from service.web.export import FORMS
from service.web.visit import Said, Table, Visit

ROWS: Final = 50
"""Of a list, unless `limit` says otherwise: what fits a few screens and 200 KB."""
MOST_ROWS: Final = 200
WITHIN_S: Final = 0.06
"""Of a page that no index serves: its reader has what was found, and goes on from there. Files take
their time."""


class Listed(NamedTuple):
    """A page of a list, and the parameters that lead on from it: times as they were resolved, so
    that a cursor stays good while an age such as `1h` goes on."""

    page: Any
    filters: Said


def listed(
    visit: Visit, path: str, *arguments: str, rows: int = ROWS, **fixed: Any
) -> Listed | Table:
    """The answer of a list's endpoint to the page's parameters; a table if a file is wanted.

    Args:
        rows: how many rows the page has unless its reader says another `limit`.
        fixed: parameters that the page sets, not its reader.

    Raises:
        BadQuestion: a parameter is unknown or wrong.
    """
    given = visit.filters(limit=str(rows))
    form = given.pop("format", "")
    if form not in ("", *FORMS):
        raise BadQuestion([("format", f"expected one of {', '.join(FORMS)}")])
    if form:
        given["limit"] = str(LIMIT)
        name = path.replace("/", "-").replace("{", "").replace("}", "")
        asked = {**given, **fixed}
        first = visit.ask(path, *arguments, **asked)  # what is wrong is said before a file begins
        parts = _parts(visit, path, arguments, asked, first)
        return Table(name, visit.kind_of(path), parts, form)
    if given["limit"].isascii() and given["limit"].isdigit() and len(given["limit"]) < 9:
        given["limit"] = str(min(int(given["limit"]), MOST_ROWS))
    page = visit.ask(path, *arguments, within_s=WITHIN_S, **{**given, **fixed})
    if given["limit"] == str(rows):
        del given["limit"]
    return Listed(page, given)


def _parts(
    visit: Visit, path: str, arguments: Sequence[str], asked: dict[str, Any], page: Any
) -> Iterator[Sequence[msgspec.Struct]]:
    """The records of a page and of all that follow it."""
    yield page.items
    while page.next is not None:
        page = visit.ask(path, *arguments, **{**asked, "cursor": page.next})
        yield page.items

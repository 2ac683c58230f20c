"""In which order a list stands as a whole, and where its columns lead to have it in another."""

from collections.abc import Mapping
from typing import Any

from service.web.links import Links


class Ordering:
    """The order of a list of several pages, by the parameter `sort`: a name, `-` in front of it
    for the greatest first.

    Args:
        path: of the list, below the start page.
        filters: its parameters.
        usual: the order that it has without being asked.
        page: the part of it that is shown; `is_whole` if that is all.
    """

    def __init__(
        self, links: Links, path: str, filters: Mapping[str, Any], usual: str, page: Any
    ) -> None:
        self._links = links
        self._path = path
        self._filters = {n: v for n, v in filters.items() if n not in ("cursor", "sort")}
        self._usual = usual
        self._chosen = filters.get("sort") or usual
        self.is_whole = page.next is None and not filters.get("cursor")

    def state(self, by: str) -> str:
        """How the list stands by a column: `descending`, `ascending` or nothing."""
        return {f"-{by}": "descending", by: "ascending"}.get(self._chosen, "")

    def link(self, by: str) -> str:
        """The list by a column: the greatest first or, where it stands so, the least."""
        sort = by if self._chosen == f"-{by}" else f"-{by}"
        return self._links.to(
            self._path, **self._filters, sort=None if sort == self._usual else sort
        )

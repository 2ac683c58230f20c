"""What changed since the last look, for pages that show it as it comes."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from projections.endpoints import route
from projections.queries import Queries
from projections.query.parameters import parse
from projections.views.execution_history.question import Transition
from projections.views.overview.question import Overview
from service.web.figures import behind_of, figures_of, lag_figure
from service.web.links import quoted
from service.web.statuses import kind_of

MOST: Final = 60
"""Changes that one message tells; of more the newest are told, and how many are not."""
_LOOKED: Final = 200


class Change(msgspec.Struct, frozen=True):
    """A transition between states, as a row of the page is made of it. `link` is below the start
    page."""

    key: str
    time: str
    task: str
    run: str
    attempt: int | None
    status: str
    kind: str
    reason: str
    link: str


class Beat(msgspec.Struct, frozen=True):
    """One message: changes, newest first, how many more there were at least, the figures of the
    overview by name, and how far the views are behind; empty if they keep up."""

    changes: Sequence[Change]
    more: int
    figures: dict[str, str]
    behind: str

    def and_then(self, later: "Beat") -> "Beat":
        """Both as one, for who hears neither: the changes that were told last, with figures as
        they are now."""
        figures = self.figures | later.figures
        return Beat(later.changes or self.changes, later.more, figures, later.behind)


class Pulse:
    """Looks at a tenant's views; for one thread at a time."""

    def __init__(self, queries: Queries, tenant: str) -> None:
        self._queries = queries
        self._tenant = tenant
        self._seen = -1
        self._behind = ""
        self._told: set[str] = set()

    def beat(self) -> Beat | None:
        """What changed; None if the views have seen nothing new and are no further behind.

        Raises:
            Unavailable: the views cannot be read now.
        """
        seen, behind = self._queries.seen(), behind_of(self._ask("projections"))
        if seen == self._seen:
            return self._of_lag(behind)
        is_first = self._seen < 0
        items: list[Transition] = self._ask("history", limit=str(_LOOKED)).items
        changes = [_change(item) for item in items]
        new = [change for change in changes if change.key not in self._told]
        self._told = {change.key for change in changes}
        self._seen, self._behind = seen, behind
        figures: Overview = self._ask("overview")
        more = 0 if is_first else max(len(new) - MOST, 0)
        return Beat(new[:MOST], more, figures_of(figures) | lag_figure(behind), behind)

    def _of_lag(self, behind: str) -> Beat | None:
        if behind == self._behind:
            return None
        self._behind = behind
        return Beat([], 0, lag_figure(behind), behind)

    def _ask(self, path: str, **parameters: str) -> Any:
        routed = route(path)
        assert routed is not None
        endpoint, _ = routed
        question = parse(endpoint.asks, parameters)
        return self._queries.ask(endpoint, question, (), tenant=self._tenant)


def _change(item: Transition) -> Change:
    run = item.run_id or ""
    link = f"tasks/{quoted(item.task_id)}" + (f"/runs/{quoted(run)}" if run else "")
    return Change(
        key=f"{item.time_ns}.{item.task_id}.{run}.{item.attempt}.{item.new_status}",
        time=item.time or "",
        task=item.task_id,
        run=run,
        attempt=item.attempt,
        status=item.new_status.replace("_", " "),
        kind=kind_of(item.new_status),
        reason=(item.reason or "")[:200],
        link=link,
    )

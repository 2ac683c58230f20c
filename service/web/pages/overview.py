"""`/`: what runs now, what failed for good, what recovered, and whether the ledger keeps up."""

from typing import Any, Final, NamedTuple

from events.errors import Unavailable
from events.times import human_duration
from service.web.visit import Page, Shown, Visit

_MOST: Final = "100"
_ROWS: Final = 8
_DAY: Final = "1d"


class Counted(NamedTuple):
    """How many rows of a list there are, as far as one page tells: `100+` if there are more."""

    items: list[Any]
    more: bool

    @property
    def text(self) -> str:
        """The figure."""
        return f"{len(self.items):,}{'+' if self.more else ''}"


def overview(visit: Visit) -> Shown:
    """The start page; while there are no views it says what is missing."""
    visit.refuse_others()
    values: dict[str, Any] = {"missing": visit.missing(), "facts": None, "base": visit.links.base}
    try:
        values["facts"] = _facts(visit)
    except Unavailable as exc:
        values["unavailable"] = str(exc)
    return Shown("overview.html.j2", "Overview", values)


def _facts(visit: Visit) -> dict[str, Any]:
    day = visit.filters(since=_DAY)["since"]
    running = _count(visit, "attempts", status="running")
    return {
        "running": running,
        "retrying": _count(visit, "runs", status="retrying"),
        "queued": _count(visit, "runs", status="queued"),
        "failed": _count(visit, "runs", status="failed", since=day),
        "errors": visit.ask("errors", limit=str(_ROWS)).items,
        "recent": visit.ask("attempts", limit="12").items,
        "now": running.items[:_ROWS],
        "counts": visit.queries.counts(visit.tenant),
        "log": _log(visit),
    }


def _count(visit: Visit, path: str, **filters: str) -> Counted:
    page = visit.ask(path, limit=_MOST, **filters)
    return Counted(page.items, page.next is not None)


def _log(visit: Visit) -> dict[str, Any]:
    """How far the views are behind; the size of the log only for who may see all tenants."""
    projections = visit.ask("projections")
    worst = max(projections.items, key=lambda item: item.lag_events, default=None)
    return {
        "events": None if visit.who.is_bound else int(projections.head),
        "lag_events": worst.lag_events if worst else 0,
        "lag": human_duration(worst.lag_s * 1e9) if worst and worst.lag_s else "",
        "paused": [item for item in projections.items if item.state in ("paused", "stopped")],
    }


PAGES: Final = (Page("", overview),)

"""`/`: what runs now, what failed for good, what recovered, and whether the ledger keeps up."""

from typing import Any, Final

from events.errors import Unavailable
from projections.query.status import for_one_tenant
from service.web.charts.columns import Column, columns
from service.web.figures import behind_of, figures_of, lag_figure
from service.web.rendering import moment
from service.web.visit import Page, Shown, Visit

WINDOWS: Final = (
    ("15m", "15 min"),
    ("1h", "hour"),
    ("6h", "6 hours"),
    ("1d", "day"),
    ("7d", "week"),
)
_ROWS: Final = "8"


def overview(visit: Visit) -> Shown:
    """The start page; while there are no views it says what is missing."""
    visit.refuse_others("window")
    window = visit.parameters["window"] or "1h"
    values: dict[str, Any] = {
        "missing": visit.missing(), "facts": None, "window": window, "windows": WINDOWS,
    }  # fmt: skip
    try:
        values["facts"] = _facts(visit, window)
    except Unavailable as exc:
        values["unavailable"] = str(exc)
    return Shown("overview.html.j2", "Overview", values)


def _facts(visit: Visit, window: str) -> dict[str, Any]:
    found, log = visit.ask("overview", window=window), _log(visit)
    return {
        "figures": figures_of(found) | lag_figure(log["behind"]),
        "found": found,
        "chart": _chart(found),
        "errors": visit.ask("errors", limit=_ROWS).items,
        "failed": visit.ask("runs", status="failed", limit=_ROWS).items,
        "recent": visit.ask("attempts", limit="10").items,
        "now": visit.ask("attempts", status="running", limit=_ROWS).items,
        "counts": visit.queries.counts(visit.tenant),
        "log": log,
    }


def _chart(found: Any) -> Any:
    data = [
        Column(
            each.completed + each.other, each.failed,
            f"{moment(each.start_ns)}: {each.completed:,} completed, {each.failed:,} failed"
            f", {each.other:,} others",
        )
        for each in found.buckets
    ]  # fmt: skip
    return columns(data)


def _log(visit: Visit) -> dict[str, Any]:
    """How far the views are behind; numbers of events only for who may see all tenants."""
    found = visit.ask("projections")
    projections = for_one_tenant(found) if visit.who.is_bound else found
    return {
        "events": None if visit.who.is_bound else int(found.head or 0),
        "lag_events": max((item.lag_events or 0 for item in projections.items), default=0),
        "behind": behind_of(projections),
        "paused": [item for item in projections.items if item.state in ("paused", "stopped")],
    }


def moving(visit: Visit) -> Shown:
    """The part of the start page that an open one asks for again."""
    return overview(visit)._replace(template="overview_part.html.j2")


PAGES: Final = (Page("", overview), Page("live/overview", moving, kept_s=2.0))

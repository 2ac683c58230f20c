"""`/`: what runs now, what failed for good, what recovered, and whether the ledger keeps up."""

from typing import Any, Final

from events.errors import Unavailable
from events.times import SECOND_NS, human_duration
from service.web.charts.columns import Column, columns
from service.web.figures import figures_of
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
    found = visit.ask("overview", window=window)
    return {
        "figures": figures_of(found),
        "found": found,
        "chart": _chart(found),
        "errors": visit.ask("errors", limit=_ROWS).items,
        "failed": visit.ask("runs", status="failed", limit=_ROWS).items,
        "recent": visit.ask("attempts", limit="10").items,
        "now": visit.ask("attempts", status="running", limit=_ROWS).items,
        "counts": visit.queries.counts(visit.tenant),
        "log": _log(visit),
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
    """How far the views are behind; the size of the log only for who may see all tenants."""
    projections = visit.ask("projections")
    worst = max(projections.items, key=lambda item: item.lag_events or 0, default=None)
    return {
        "events": None if visit.who.is_bound else int(projections.head or 0),
        "lag_events": (worst.lag_events or 0) if worst else 0,
        "lag": human_duration(worst.lag_s * SECOND_NS) if worst and worst.lag_s else "",
        "paused": [item for item in projections.items if item.state in ("paused", "stopped")],
    }


def moving(visit: Visit) -> Shown:
    """The part of the start page that an open one asks for again."""
    return overview(visit)._replace(template="overview_part.html.j2")


PAGES: Final = (Page("", overview), Page("live/overview", moving, kept_s=2.0))

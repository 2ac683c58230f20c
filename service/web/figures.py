"""The overview's figures as texts, the same when a page is made and when it is kept up to date."""

from typing import Final

from events.times import SECOND_NS, human_duration
from projections.query.status import ProjectionList
from projections.views.overview.question import Overview
from service.web.rendering import percent, short_number

_USUAL_S: Final = 3.0


def figures_of(found: Overview) -> dict[str, str]:
    """Each figure by its name; `+` where there may be more."""

    def counted(name: str, count: int) -> str:
        return short_number(count) + ("+" if name in found.at_least else "")

    return {
        "running": counted("running", found.running),
        "retrying": counted("retrying", found.retrying),
        "queued": counted("queued", found.queued),
        "failed": counted("runs_failed", found.runs_failed),
        "recovered": counted("runs_completed", found.runs_recovered),
        "success": "–" if found.success_rate is None else percent(found.success_rate),
        "throughput": short_number(found.throughput * 60),
        "p95": _seconds(found.duration_s.p95),
        "p50": _seconds(found.duration_s.p50),
        "wait": _seconds(found.queue_wait_s.p95),
        "ended": counted("ended", sum(found.ended.values())),
    }


def behind_of(found: ProjectionList) -> str:
    """How far the furthest view is behind the log; empty below some seconds, which is usual."""
    lag_s = max((item.lag_s for item in found.items), default=0.0)
    return human_duration(int(lag_s) * SECOND_NS) if lag_s >= _USUAL_S else ""


def lag_figure(behind: str) -> dict[str, str]:
    """What `behind_of` gave, as a figure of the overview."""
    return {"behind": behind or "0 s"}


def _seconds(value: float | None) -> str:
    return "–" if value is None else human_duration(value * SECOND_NS)

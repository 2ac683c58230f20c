"""`/health`: how components do and why, where attempts fail most, which policies are in force."""

from collections.abc import Iterator
from typing import Any, Final

from projections.policies.resolving import PolicySet, said
from projections.query.refusals import BadQuestion
from service.web.links import Links
from service.web.statuses import TROUBLE
from service.web.visit import Page, Shown, Visit

PLACES: Final = ("component", "task", "executor", "host", "version")
"""What attempts that fail are counted by."""
_COMPONENTS: Final = 24
_HOTSPOTS: Final = "20"
_GOOD: Final = 90
_FAIR: Final = 60


def health(visit: Visit) -> Shown:
    """Components, hotspots, policies."""
    visit.refuse_others("by", "since")
    by = visit.parameters["by"] or PLACES[0]
    if by not in PLACES:
        raise BadQuestion([("by", f"must be one of {', '.join(PLACES)}")])
    since = visit.filters().get("since")
    components = visit.ask("health/components")
    hotspots = visit.ask("hotspots", by=by, since=since, limit=_HOTSPOTS)
    values = {
        "components": [(one, _kind(one.score)) for one in components.items[:_COMPONENTS]],
        "component_count": len(components.items),
        "complete": components.complete and (hotspots.complete or by == "version"),
        "behind": sorted({*components.behind, *hotspots.behind}),
        "hotspots": [(one, *_leads(visit.links, by, one, since)) for one in hotspots.items],
        "by": by, "places": PLACES, "given": visit.parameters,
        "rules": list(_rules(visit.policies.policies)), "applied": visit.policies.applied,
    }  # fmt: skip
    return Shown("health.html.j2", "Health", values)


def _kind(score: float) -> str:
    """Which colour and shape stands for a score."""
    return "completed" if score >= _GOOD else "retrying" if score >= _FAIR else "failed"


def _leads(links: Links, by: str, one: Any, since: str | None) -> tuple[str, str]:
    """Links to a place's attempts and to those that failed; empty where no search finds them."""
    if one.key is None or by == "version" or '"' in one.key:
        return "", ""
    words = f'{by}:"{one.key}"'
    failed = " OR ".join(f"status:{word}" for word in TROUBLE)
    place = links.task(one.key) if by == "task" else links.to("search", q=words, since=since)
    return place, links.to("search", q=f"{words} ({failed})", since=since)


def _rules(policies: PolicySet) -> Iterator[dict[str, Any]]:
    """The rules in force as texts, the strongest first."""
    for placed in policies.strongest_first():
        yield {
            "id": placed.rule.id,
            "when": [(key, ", ".join(values)) for key, values in placed.rule.when.asked()],
            "settings": [(name, _text(value)) for name, value in said(placed.rule)],
            "place": f"{placed.file}:{placed.line}",
        }


def _text(value: Any) -> str:
    """A setting's value as one writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


PAGES: Final = (Page("health", health),)

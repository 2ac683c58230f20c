"""`/live`: what changes now, as it comes; the rows are brought by `/live/stream`."""

from typing import Final

from service.web.figures import figures_of
from service.web.visit import Page, Shown, Visit

_KINDS: Final = (
    ("running", "running"),
    ("completed", "completed"),
    ("failed", "failed"),
    ("timedout", "timed out"),
    ("abandoned", "abandoned"),
    ("waiting", "queued"),
    ("ended", "cancelled, skipped, unknown"),
)


def live(visit: Visit) -> Shown:
    """The page that fills itself."""
    visit.refuse_others("q", "kind")
    figures = figures_of(visit.ask("overview"))
    values = {
        "given": visit.parameters, "kinds": _KINDS, "figures": figures, "missing": visit.missing(),
    }  # fmt: skip
    return Shown("live.html.j2", "Live", values)


PAGES: Final = (Page("live", live),)

"""`/alerts`: what fires, what is pending, what was resolved lately, and whom it was told."""

from typing import Final

from service.alerts.place import rules_file
from service.alerts.questions import answer
from service.web.visit import Page, Shown, Visit

_KINDS: Final = {"firing": "failed", "pending": "waiting", "resolved": "completed"}
_HISTORY_ROWS: Final = 20


def alerts(visit: Visit) -> Shown:
    """Alerts as they are, their history, and the receivers for who may see all tenants."""
    visit.refuse_others("state")
    data = visit.settings.data
    found = answer(data, "alerts", visit.parameters, visit.tenant)
    past = answer(data, "alerts/history", {"limit": _HISTORY_ROWS}, visit.tenant)
    values = {
        "found": found, "past": past, "kinds": _KINDS, "chosen": visit.parameters["state"],
        "has_rules": rules_file(visit.settings) is not None,
        "sees_receivers": not visit.who.is_bound,
    }  # fmt: skip
    return Shown("alerts.html.j2", "Alerts", values)


PAGES: Final = (Page("alerts", alerts),)

"""`/ledger`: how far the log goes, and how far each view has followed it."""

from typing import Any, Final

from events.errors import Unavailable
from events.log.sqlite import FILE
from events.times import SECOND_NS
from projections.query.status import ProjectionStatus, without_counts
from service.web.visit import Page, Shown, Visit

_KINDS: Final = {
    "running": "completed", "catching_up": "running", "behind": "retrying", "paused": "waiting",
    "rebuilding": "running", "stopped": "failed",
}  # fmt: skip
"""Which colour and shape of an attempt's status stands for a projection's state."""


def ledger(visit: Visit) -> Shown:
    """The log and its views; what is of all tenants only for who may see them all."""
    visit.refuse_others()
    values: dict[str, Any] = {"unavailable": "", "found": None, "head": None, "size_bytes": None}
    try:
        found = visit.ask("projections")
        values["found"] = without_counts(found) if visit.who.is_bound else found
        if not visit.who.is_bound:
            values["head"] = visit.queries.log_head()
            values["size_bytes"] = _size_bytes(visit)
    except Unavailable as exc:
        values["unavailable"] = str(exc)
    if values["found"] is not None:
        values["rows"] = [_row(item) for item in values["found"].items]
    return Shown("ledger.html.j2", "Ledger", values)


def _size_bytes(visit: Visit) -> int:
    """Of the log's files."""
    files = [visit.settings.data / f"{FILE}{suffix}" for suffix in ("", "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def _row(item: ProjectionStatus) -> dict[str, Any]:
    return {"it": item, "kind": _KINDS[item.state], "lag_ns": int(item.lag_s * SECOND_NS)}


PAGES: Final = (Page("ledger", ledger),)

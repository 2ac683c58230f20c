"""`/ledger`: how far the log goes, and how far each view has followed it."""

from collections.abc import Iterator
from typing import Any, Final

from events.errors import Unavailable
from events.log.port import LogReader, Segment
from events.log.sqlite import FILE
from events.times import SECOND_NS
from projections.query.status import ProjectionStatus, for_one_tenant
from service.web.acting.care import asked
from service.web.visit import Page, Shown, Visit

_KINDS: Final = {
    "running": "completed", "catching_up": "running", "behind": "retrying", "paused": "waiting",
    "rebuilding": "running", "stopped": "failed",
}  # fmt: skip
"""Which colour and shape of an attempt's status stands for a projection's state."""

_SEGMENTS: Final = 8
_LETTERS: Final = 20


def ledger(visit: Visit) -> Shown:
    """The log and its views; what is of all tenants only for who may see them all."""
    visit.refuse_others()
    values: dict[str, Any] = {
        "unavailable": "", "found": None, "head": None, "size_bytes": None,
        "segments": [], "targets": None, "letters": [], "rebuild": None, "verified": None,
        "is_told": False, "missing": visit.missing(),
    }  # fmt: skip
    try:
        found = visit.ask("projections")
        values["found"] = for_one_tenant(found) if visit.who.is_bound else found
        if not visit.who.is_bound:
            values["head"] = visit.queries.log_head()
            values["size_bytes"] = _size_bytes(visit)
    except Unavailable as exc:
        values["unavailable"] = str(exc)
    values |= {} if visit.who.is_bound else _of_all(visit)
    if values["found"] is not None:
        values["rows"] = [_row(item) for item in values["found"].items]
    return Shown("ledger.html.j2", "Ledger", values)


def _of_all(visit: Visit) -> dict[str, Any]:
    """What only concerns who may see all tenants, as far as the roles that know it answer now."""
    data = visit.settings.data
    told = asked(data, "projector", "status")
    letters = asked(data, "projector", "deadletters") or []
    targets = asked(data, "forwarder", "status") if visit.settings.forward else None
    with visit.queries.log.read() as reader:
        segments = list(_last_segments(reader))
    return {
        "segments": segments, "targets": targets, "is_told": told is not None,
        "letters": letters[:_LETTERS], "letter_count": len(letters),
        "rebuild": told and told["rebuild"],
        "verified": visit.verification and visit.verification.last,
    }  # fmt: skip


def _last_segments(reader: LogReader) -> Iterator[Segment]:
    """The newest segments of the log, newest first."""
    at = reader.head().position
    for _ in range(_SEGMENTS):
        found = reader.read(0, at - 1, through=at, limit_segments=1).segments if at else []
        if not found:
            return
        yield found[0]
        at = found[0].first - 1


def _size_bytes(visit: Visit) -> int:
    """Of the log's files."""
    files = [visit.settings.data / f"{FILE}{suffix}" for suffix in ("", "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def _row(item: ProjectionStatus) -> dict[str, Any]:
    return {"it": item, "kind": _KINDS[item.state], "lag_ns": int(item.lag_s * SECOND_NS)}


PAGES: Final = (Page("ledger", ledger),)

"""What can be asked of `alerts.db`: alerts as they are, and their history. Read-only.

The API, its OpenAPI document and the command line are made from `ENDPOINTS`, as those of the views
are from `projections.endpoints`.
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.errors import Unavailable
from events.times import rfc3339
from projections.query.parameters import Text, parse
from projections.query.records import Hex, Ns, Rfc3339
from service.alerts.alert import Alert
from service.alerts.notice import shown
from service.alerts.store import FILE, SCHEMA_VERSION, SQL

_LAST: Final = (1 << 63) - 1


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it is, or as it was then."""

    id: Hex
    rule: str
    kind: Annotated[str, Meta(description="What the rule measures, its `when`")]
    state: Literal["pending", "firing", "resolved"]
    severity: str
    labels: Annotated[dict[str, str], Meta(description="Which group of the rule it is")]
    value: Annotated[float, Meta(description="A count, a share, or nanoseconds")]
    summary: str
    details: Annotated[dict[str, Any], Meta(description="Where to look: tasks, runs, fingerprints")]
    last_ended_at: Annotated[str, Meta(description="End of the newest attempt in it")] | None
    since: Rfc3339 | None
    since_ns: Ns
    fired_at: Rfc3339 | None
    fired_ns: Ns | None
    resolved_at: Rfc3339 | None
    resolved_ns: Ns | None
    muted: Annotated[bool, Meta(description="Maintenance holds its notices back")]
    runbook: str | None


class ReceiverStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a receiver's notices."""

    name: str
    sent: int
    sent_at: Rfc3339 | None
    failed: Annotated[int, Meta(description="Tries that were not taken")]
    waiting: Annotated[int, Meta(description="Notices that are still to be taken")]
    parked: Annotated[int, Meta(description="Notices that were given up")]
    error: Annotated[str, Meta(description="Of the last try, if it failed")] | None
    error_at: Rfc3339 | None


class AlertList(msgspec.Struct, frozen=True):
    """Alerts: firing ones first, then pending, then those that were resolved within a day."""

    items: list[AlertRecord]
    receivers: list[ReceiverStatus]
    next: None = None
    complete: bool = True


class PastChange(msgspec.Struct, frozen=True, kw_only=True):
    """That an alert fired or was resolved."""

    at: Rfc3339 | None
    at_ns: Ns
    change: Literal["fired", "resolved"]
    alert: AlertRecord


class AlertHistory(msgspec.Struct, frozen=True):
    """What happened, newest first."""

    items: list[PastChange]
    next: Annotated[str, Meta(description="`cursor` that goes on here; null at the end")] | None
    complete: bool = True


class AlertsQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the list of alerts."""

    state: (
        Annotated[Literal["pending", "firing", "resolved"], Meta(description="Only in this state.")]
        | None
    ) = None
    rule: Annotated[Text, Meta(description="Only of this rule.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="At most this many items.")] = 100


class HistoryQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the history of alerts."""

    limit: Annotated[int, Meta(ge=1, le=1000, description="At most this many items.")] = 100
    cursor: (
        Annotated[
            str,
            Meta(
                pattern=r"^[0-9]{1,18}$(?!\n)",
                description="`next` of the answer that this one continues.",
            ),
        ]
        | None
    ) = None


class AlertsEndpoint(NamedTuple):
    """One kind of question; `path` is below /api/v1."""

    path: str
    summary: str
    asks: type[msgspec.Struct]
    answers: type[msgspec.Struct]
    answer: Callable[[sqlite3.Connection, Any, str], msgspec.Struct]
    nothing: msgspec.Struct


def answer(data: Path, path: str, parameters: Mapping[str, Any], tenant: str) -> msgspec.Struct:
    """The answer at a path; that of a folder without alerts is empty.

    Raises:
        BadQuestion: a parameter is unknown or wrong.
        Unavailable: the file cannot be read now.
    """
    (endpoint,) = (one for one in ENDPOINTS if one.path == path)
    question = parse(endpoint.asks, parameters)
    file = data / FILE
    if not file.exists():
        return endpoint.nothing
    try:
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:  # 0: it is just being made
                return endpoint.nothing
            return endpoint.answer(connection, question, tenant)
    except sqlite3.Error as exc:
        raise Unavailable(f"{FILE} cannot be read now: {exc}") from exc


def without_receivers(answer: msgspec.Struct) -> msgspec.Struct:
    """The same for who may see one tenant: receivers are told of all tenants' alerts."""
    if not isinstance(answer, AlertList):
        return answer
    return msgspec.structs.replace(answer, receivers=[])


def _alerts(connection: sqlite3.Connection, question: AlertsQuestion, tenant: str) -> AlertList:
    values = msgspec.structs.asdict(question) | {"tenant": tenant}
    records = [_record(body) for (body,) in connection.execute(SQL["list"], values)]
    return AlertList([one for one in records if one is not None], _receivers(connection))


def _receivers(connection: sqlite3.Connection) -> list[ReceiverStatus]:
    waiting = {row[0]: row[1:] for row in connection.execute(SQL["waiting"])}
    known = {row[0]: row for row in connection.execute(SQL["receivers"])}
    found = []
    for name in sorted({*known, *waiting}):
        _, sent, sent_ns, failed, error, error_ns = known.get(name, (name, 0, None, 0, None, None))
        waits, parked = waiting.get(name, (0, 0))
        found.append(
            ReceiverStatus(
                name=name, sent=sent, sent_at=rfc3339(sent_ns), failed=failed, waiting=waits,
                parked=parked, error=error, error_at=rfc3339(error_ns),
            )
        )  # fmt: skip
    return found


def _history(
    connection: sqlite3.Connection, question: HistoryQuestion, tenant: str
) -> AlertHistory:
    before = _LAST if question.cursor is None else int(question.cursor)
    values = {"tenant": tenant, "before": before, "limit": question.limit + 1}
    rows = connection.execute(SQL["past"], values).fetchall()
    shown_ = rows[: question.limit]
    next_ = str(shown_[-1][0]) if len(rows) > len(shown_) else None
    items = [
        PastChange(at=rfc3339(at_ns), at_ns=at_ns, change=change, alert=record)
        for _, at_ns, change, body in shown_
        if (record := _record(body)) is not None
    ]
    return AlertHistory(items, next_)


def _record(body: bytes) -> AlertRecord | None:
    """What is shown of an alert; None of one that another release wrote and this cannot read."""
    try:
        alert = msgspec.json.decode(body, type=Alert)
    except msgspec.MsgspecError:
        return None
    return msgspec.convert(shown(alert, ""), AlertRecord)


ENDPOINTS: Final = (
    AlertsEndpoint(
        "alerts", "Alerts: firing ones first; and what became of the receivers' notices.",
        AlertsQuestion, AlertList, _alerts, AlertList([], []),
    ),
    AlertsEndpoint(
        "alerts/history", "Alerts that fired and were resolved, newest first.",
        HistoryQuestion, AlertHistory, _history, AlertHistory([], None),
    ),
)  # fmt: skip

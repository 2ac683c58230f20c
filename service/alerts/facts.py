"""What happened to alerts, as facts of the log: one for each that fired or was resolved."""

from typing import Any, Final

import msgspec

from events import names
from events.schema import Fact
from service.alerts.alert import Alert, Change
from service.alerts.notice import LOG, Outgoing

VERSION: Final = 1
_KINDS: Final[dict[Change, str]] = {
    "fired": names.FACT_ALERT_FIRED,
    "resolved": names.FACT_ALERT_RESOLVED,
}


class Recorded(msgspec.Struct, frozen=True):
    """A fact that waits in the outbox, and for whom."""

    tenant: str
    fact: Fact


def outgoing(change: Change, alert: Alert, now_ns: int) -> Outgoing:
    """The row of the outbox by which the log hears of a change."""
    fact = fact_of(change, alert, now_ns)
    return Outgoing(
        receiver=LOG,
        key=f"{fact.kind} {alert.id} {fact.idempotency_key}",
        body=msgspec.json.encode(Recorded(alert.tenant, fact)),
    )


def fact_of(change: Change, alert: Alert, now_ns: int) -> Fact:
    """The fact; it is one for each episode of an alert, however often it is appended."""
    subject: dict[str, str | int] = {"type": "alert", "alert_id": alert.id, "rule": alert.rule}
    if task_id := alert.labels.get("task"):
        subject["task_id"] = task_id[:1024]
    payload: dict[str, Any] = {
        "kind": alert.kind,
        "severity": alert.severity,
        "labels": alert.labels,
        "value": alert.value,
        "summary": alert.summary,
        "since_ns": alert.since_ns,
        "details": alert.details,
    }
    return Fact(
        kind=_KINDS[change],
        version=VERSION,
        time_ns=now_ns,
        subject=subject,
        actor=names.ACTOR_ALERTS,
        idempotency_key=str(alert.since_ns),
        payload=payload,
    )

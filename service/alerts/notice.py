"""Notices: what one receiver is told at once, and which of them follow from an evaluation.

Alerts of one rule that fire or end together are one notice. A notice has an id that stays the
same however often it is sent.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, Self
from urllib.parse import quote

import msgspec

from events.times import rfc3339
from service.alerts.alert import Alert, Told
from service.alerts.rule import AlertsFile, Receiver, Rule

ALERTS_LIMIT: Final = 50
"""Alerts of one notice; more are several notices."""
LOG: Final = "log"
"""The receiver that is the log itself: what happened, as facts."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What one receiver is told. `status` is `test` for a trial."""

    id: str
    status: Told | Literal["test"]
    rule: str
    kind: str
    severity: str
    tenant: str
    at_ns: int
    link: str
    repeat_ns: int
    alerts: tuple[Alert, ...]


class PerceptNotice(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="spanledger.percept"
):
    """That a run has ended which is new enough; `percept` as `/api/v1/percepts` tells it."""

    id: str
    subscription: str
    tenant: str
    at_ns: int
    link: str
    percept: dict[str, Any]

    @classmethod
    def of(cls, identity: Iterable[str], **said: Any) -> Self:
        """The notice that these texts make one."""
        return cls(id=_id_of(identity), **said)


class _Kind(msgspec.Struct, frozen=True):
    type: str | None = None


def notice_in(body: bytes) -> Notice | PerceptNotice:
    """The notice that a row of the outbox holds.

    Raises:
        msgspec.MsgspecError: it is of another release.
    """
    if msgspec.json.decode(body, type=_Kind).type is None:
        return msgspec.json.decode(body, type=Notice)
    return msgspec.json.decode(body, type=PerceptNotice)


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the outbox: a body for a receiver, that is told once under its key."""

    receiver: str
    key: str
    body: bytes


def notices(
    told: Iterable[tuple[Rule | None, Told, Alert]], file: AlertsFile, now_ns: int
) -> Iterator[Outgoing]:
    """What goes to which receiver.

    Args:
        told: alerts to tell of; the rule is None if it is no more in the file.
    """
    groups: dict[tuple[str, Told], list[Alert]] = {}
    rules: dict[str, Rule | None] = {}
    for rule, status, alert in told:
        groups.setdefault((alert.rule, status), []).append(alert)
        rules[alert.rule] = rule
    for (name, status), alerts in groups.items():
        rule = rules[name]
        for receiver in file.receiver:
            named = None if rule is None else rule.notify
            wanted = receiver.alerts if named is None else receiver.name in named
            if not wanted or (status == "resolved" and not receiver.resolved):
                continue
            width = 1 if receiver.type == "pagerduty" else ALERTS_LIMIT
            for start in range(0, len(alerts), width):
                some = alerts[start : start + width]
                notice = notice_of(status, some, receiver, file, rule, now_ns)
                yield Outgoing(
                    receiver=receiver.name, key=notice.id, body=msgspec.json.encode(notice)
                )


def notice_of(
    status: Told | Literal["test"],
    alerts: Sequence[Alert],
    receiver: Receiver,
    file: AlertsFile,
    rule: Rule | None,
    now_ns: int,
) -> Notice:
    """The notice of some alerts of one rule."""
    first = alerts[0]
    parts = [receiver.name, status, str(now_ns), *(alert.id for alert in alerts)]
    return Notice(
        id=_id_of(parts),
        status=status, rule=first.rule, kind=first.kind, severity=first.severity,
        tenant=first.tenant, at_ns=now_ns, link=file.link.rstrip("/"),
        repeat_ns=0 if rule is None else int(rule.repeat_every), alerts=tuple(alerts),
    )  # fmt: skip


def _id_of(parts: Iterable[str]) -> str:
    return "msg_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def shown(alert: Alert, link: str) -> dict[str, Any]:
    """An alert as receivers and the API show it: times as RFC 3339 and in ns, and where to look."""
    details = dict(alert.details)
    last_ns = details.pop("last_ended_ns", None)
    record: dict[str, Any] = {
        "id": alert.id,
        "rule": alert.rule,
        "kind": alert.kind,
        "state": alert.state,
        "severity": alert.severity,
        "labels": alert.labels,
        "value": alert.value,
        "summary": alert.summary,
        "details": details,
        "last_ended_at": rfc3339(last_ns),
        "since": rfc3339(alert.since_ns),
        "since_ns": alert.since_ns,
        "fired_at": rfc3339(alert.fired_ns),
        "fired_ns": alert.fired_ns,
        "resolved_at": rfc3339(alert.resolved_ns),
        "resolved_ns": alert.resolved_ns,
        "muted": alert.muted,
        "runbook": alert.runbook,
    }
    return record | ({"links": list(links(alert, link))} if link else {})


def run_page(link: str, task_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{link}/tasks/{quote(task_id, safe='')}/runs/{quote(run_id, safe='')}"


def links(alert: Alert, link: str) -> Iterator[str]:
    """The pages where the cause is found, nearest first."""
    for run in alert.details.get("runs", [])[:1]:
        yield run_page(link, run["task_id"], run["run_id"])
    for fingerprint in alert.details.get("fingerprints", [])[:1]:
        yield f"{link}/errors/{fingerprint}"
    yield f"{link}/alerts"

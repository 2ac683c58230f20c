"""What each kind of receiver is sent: the body and headers of one request. Pure functions.

`webhook` is signed as https://github.com/standard-webhooks/standard-webhooks says, for which there
are libraries in most languages. The others are the shapes of Slack's incoming webhooks, of
PagerDuty's Events API v2 and of Alertmanager's API v2.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from events.times import SECOND_NS, rfc3339
from service.alerts.alert import Alert
from service.alerts.file import signing_key
from service.alerts.notice import Notice, PerceptNotice, links, run_page, shown
from service.alerts.rule import Receiver

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
NOTICE_TYPE: Final = "spanledger.alert"
PERCEPT_TYPE: Final = "spanledger.percept"
_SLACK_ALERTS: Final = 10
_SLACK_CHARACTERS: Final = 2_800
_COLOURS: Final = {
    "critical": "#b3261e",
    "error": "#d1453b",
    "warning": "#b7791f",
    "info": "#3b6fb6",
}
_RESOLVED_COLOUR: Final = "#2f855a"
_PAGERDUTY_CHARACTERS: Final = 1_024
_REPEATS_KEPT: Final = 3
"""An Alertmanager takes an alert for over after so many repetitions did not come."""
_ENDLESS_NS: Final = 7 * 86400 * SECOND_NS


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted."""

    url: str
    headers: dict[str, str]
    body: bytes


def request_of(receiver: Receiver, notice: Notice | PerceptNotice, now_ns: int) -> Request:
    """The request that tells `receiver` of a notice; `now_ns` is when it is sent."""
    if isinstance(notice, PerceptNotice):
        url, body, headers = _percept(receiver, notice, now_ns)
    else:
        url, body, headers = _SHAPES[receiver.type](receiver, notice, now_ns)
    return Request(
        url=url,
        headers={"content-type": "application/json", "user-agent": "spanledger"}
        | headers
        | receiver.headers,
        body=body,
    )


_Shape = tuple[str, bytes, dict[str, str]]


def _webhook(receiver: Receiver, notice: Notice, now_ns: int) -> _Shape:
    body = msgspec.json.encode(
        {
            "type": NOTICE_TYPE,
            "timestamp": rfc3339(notice.at_ns),
            "data": {
                "notice_id": notice.id,
                "status": notice.status,
                "rule": notice.rule,
                "kind": notice.kind,
                "severity": notice.severity,
                "tenant": notice.tenant,
                "alerts": [shown(alert, notice.link) for alert in notice.alerts],
            },
        }
    )
    return receiver.url, body, signed(receiver.secret, notice.id, now_ns, body)


def _percept(receiver: Receiver, notice: PerceptNotice, now_ns: int) -> _Shape:
    data: dict[str, Any] = {
        "notice_id": notice.id,
        "subscription": notice.subscription,
        "tenant": notice.tenant,
        "percept": notice.percept,
    }
    if notice.link:
        run = notice.percept["run"]
        data["link"] = run_page(notice.link, run["task_id"], run["run_id"])
    body = msgspec.json.encode(
        {"type": PERCEPT_TYPE, "timestamp": rfc3339(notice.at_ns), "data": data}
    )
    return receiver.url, body, signed(receiver.secret, notice.id, now_ns, body)


def signed(secret: str, message_id: str, now_ns: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows who sent `body`, and when."""
    timestamp = str(now_ns // SECOND_NS)
    content = b".".join((message_id.encode(), timestamp.encode(), body))
    digest = hmac.new(signing_key(secret), content, hashlib.sha256).digest()
    return {
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: f"v1,{base64.b64encode(digest).decode()}",
    }


def _slack(receiver: Receiver, notice: Notice, now_ns: int) -> _Shape:
    first = notice.alerts[0]
    more = len(notice.alerts) - 1
    title = f"[{notice.status}] {notice.rule}: {first.summary}" + (f" (+{more})" if more else "")
    lines = []
    for alert in notice.alerts[:_SLACK_ALERTS]:
        where = next(links(alert, notice.link), "") if notice.link else ""
        told = _escaped(alert.summary)
        lines.append(f"• <{where}|{told}>" if where else f"• {told}")
    if more >= _SLACK_ALERTS:
        lines.append(f"… and {more + 1 - _SLACK_ALERTS} more")
    text = "\n".join(lines)[:_SLACK_CHARACTERS]
    colour = _RESOLVED_COLOUR if notice.status == "resolved" else _COLOURS[notice.severity]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}}]
    document = {
        "text": _escaped(title)[:_SLACK_CHARACTERS],
        "attachments": [{"color": colour, "blocks": blocks}],
    }
    return receiver.url, msgspec.json.encode(document), {}


def _escaped(text: str) -> str:
    """Text in which Slack sees no link and no mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(receiver: Receiver, notice: Notice, now_ns: int) -> _Shape:
    """One alert a request: an incident is known by its `dedup_key`."""
    alert = notice.alerts[0]
    document: dict[str, Any] = {
        "routing_key": receiver.secret,
        "event_action": "resolve" if notice.status == "resolved" else "trigger",
        "dedup_key": f"spanledger-{alert.id}",
    }
    if notice.status != "resolved":
        document |= {
            "payload": {
                "summary": alert.summary[:_PAGERDUTY_CHARACTERS],
                "source": alert.labels.get("component") or f"spanledger/{alert.tenant}",
                "severity": alert.severity,
                "timestamp": rfc3339(alert.fired_ns or notice.at_ns),
                "component": alert.labels.get("task", ""),
                "group": alert.rule,
                "class": alert.kind,
                "custom_details": {"labels": alert.labels, **alert.details},
            },
            "client": "Spanledger",
        }
        if notice.link:
            found = [{"href": one, "text": one} for one in links(alert, notice.link)]
            document |= {"client_url": f"{notice.link}/alerts", "links": found}
    return receiver.url, msgspec.json.encode(document), {}


def _alertmanager(receiver: Receiver, notice: Notice, now_ns: int) -> _Shape:
    """One list of alerts; those that fire end by themselves if no repetition comes."""
    lasting_ns = _REPEATS_KEPT * notice.repeat_ns or _ENDLESS_NS
    alerts = []
    for alert in notice.alerts:
        is_over = notice.status == "resolved"
        ends_ns = alert.resolved_ns if is_over else notice.at_ns + lasting_ns
        annotations = {"summary": alert.summary}
        if message := alert.details.get("message"):
            annotations["description"] = message
        if alert.runbook:
            annotations["runbook_url"] = alert.runbook
        alerts.append(
            {
                "labels": _alertmanager_labels(alert),
                "annotations": annotations,
                "startsAt": rfc3339(alert.fired_ns or notice.at_ns),
                "endsAt": rfc3339(ends_ns or notice.at_ns),
                "generatorURL": next(links(alert, notice.link), "") if notice.link else "",
            }
        )
    url = receiver.url.rstrip("/")
    if not url.endswith("/api/v2/alerts"):
        url += "/api/v2/alerts"
    return url, msgspec.json.encode(alerts), {}


def _alertmanager_labels(alert: Alert) -> dict[str, str]:
    """What makes it one alert there; names hold letters, digits and `_` only."""
    labels = {
        re.sub(r"[^a-zA-Z0-9_]", "_", name): value for name, value in alert.labels.items() if value
    }
    return labels | {
        "alertname": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity,
        "tenant": alert.tenant,
        "alert_id": alert.id,
    }


_SHAPES: Final[Mapping[str, Callable[[Receiver, Notice, int], _Shape]]] = {
    "webhook": _webhook,
    "slack": _slack,
    "pagerduty": _pagerduty,
    "alertmanager": _alertmanager,
}

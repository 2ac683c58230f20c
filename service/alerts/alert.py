"""An alert's life: pending, firing, resolved. Pure: what is, what was found, the time; what comes.

Dedup: an alert is one for its rule, tenant and labels, however often it is found. Cool-down: one
that comes and goes is not told again for a while; if it still fires then, it is. Maintenance holds
notices back in the same way, and never the record. A notice that it is over follows only where one
told that it fired.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from service.alerts.findings import Finding
from service.alerts.rule import Rule

State = Literal["pending", "firing", "resolved"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as it is kept; times in ns, None where it did not happen in this episode.

    `since_ns` is when the condition began to hold, `held_ns` when it was last seen to hold,
    `told_ns` when a notice last said that it fires, `last_told_ns` the same over all episodes.
    """

    id: str
    rule: str
    kind: str
    tenant: str
    severity: str
    labels: dict[str, str]
    state: State
    value: float
    summary: str
    details: dict[str, Any]
    since_ns: int
    held_ns: int
    fired_ns: int | None = None
    resolved_ns: int | None = None
    told_ns: int | None = None
    last_told_ns: int | None = None
    muted: bool = False
    runbook: str | None = None


Change = Literal["fired", "resolved"]
Told = Literal["firing", "resolved"]


class Step(NamedTuple):
    """What an evaluation makes of an alert: what is kept, what happened, and what is to be told."""

    alert: Alert | None
    change: Change | None = None
    tell: Told | None = None


def alert_id(rule: Rule, labels: Mapping[str, str]) -> str:
    """32 hex digits that stand for one group of one rule."""
    parts = [rule.tenant, rule.name, *(f"{name}={labels[name]}" for name in sorted(labels))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def step(
    before: Alert | None, finding: Finding | None, rule: Rule, now_ns: int, *, muted: bool = False
) -> Step:
    """The next state of an alert of `rule`.

    Args:
        before: as it was; None if it is not kept.
        finding: that its condition holds now; None: it does not.
        muted: whether notices are held back.
    """
    if finding is not None:
        return _held(before, finding, rule, now_ns, muted)
    if before is None or before.state == "resolved":
        return Step(before)
    if before.state == "pending":
        return Step(None if before.last_told_ns is None else _over(before, now_ns))
    if now_ns - before.held_ns < rule.keep:
        return Step(before)
    return resolve(before, now_ns)


def resolve(before: Alert, now_ns: int) -> Step:
    """A firing alert that is over."""
    return Step(_over(before, now_ns), "resolved", "resolved" if before.told_ns else None)


def _over(before: Alert, now_ns: int) -> Alert:
    return msgspec.structs.replace(before, state="resolved", resolved_ns=now_ns, muted=False)


def _held(before: Alert | None, finding: Finding, rule: Rule, now_ns: int, muted: bool) -> Step:
    alert = _begun(before, finding, rule, now_ns)
    alert = msgspec.structs.replace(
        alert, value=finding.value, summary=finding.summary, details=finding.details,
        severity=rule.severity, runbook=rule.runbook, held_ns=now_ns,
    )  # fmt: skip
    change: Change | None = None
    if alert.state == "pending":
        if now_ns - alert.since_ns < rule.hold:
            return Step(alert)
        alert = msgspec.structs.replace(alert, state="firing", fired_ns=now_ns)
        change = "fired"
    alert = msgspec.structs.replace(alert, muted=muted)
    if muted or not _is_due(alert, rule, now_ns):
        return Step(alert, change)
    return Step(
        msgspec.structs.replace(alert, told_ns=now_ns, last_told_ns=now_ns), change, "firing"
    )


def _is_due(alert: Alert, rule: Rule, now_ns: int) -> bool:
    if alert.told_ns is not None:
        return bool(rule.repeat_every) and now_ns - alert.told_ns >= rule.repeat_every
    return alert.last_told_ns is None or now_ns - alert.last_told_ns >= rule.cool_down


def _begun(before: Alert | None, finding: Finding, rule: Rule, now_ns: int) -> Alert:
    """The alert in the episode that goes on, or in a new one."""
    if before is not None and before.state != "resolved":
        return before
    labels = dict(sorted((rule.labels | finding.labels).items()))
    return Alert(
        id=alert_id(rule, finding.labels), rule=rule.name, kind=rule.kind, tenant=rule.tenant,
        severity=rule.severity, labels=labels, state="pending", value=finding.value,
        summary=finding.summary, details=finding.details, since_ns=now_ns, held_ns=now_ns,
        last_told_ns=None if before is None else before.last_told_ns,
    )  # fmt: skip


def advance(
    kept: Mapping[str, Alert], found: Sequence[Finding], rule: Rule, now_ns: int, *, muted: bool
) -> dict[str, Step]:
    """The next state of all alerts of `rule`, by id.

    Args:
        kept: those of the rule that are kept.
    """
    by_id = {alert_id(rule, finding.labels): finding for finding in found}
    return {
        one: step(kept.get(one), by_id.get(one), rule, now_ns, muted=muted)
        for one in [*kept, *(one for one in by_id if one not in kept)]
    }

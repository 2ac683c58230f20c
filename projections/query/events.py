"""Any event of the log as a readable record, and which task it names."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from events import names
from events.abandonment import Abandonment, abandonment_of
from events.kinds import kind_of
from events.log.port import Recorded
from events.schema import AttemptAbandoned, Event, Fact, LogRecord, Span, Unknown
from events.times import rfc3339
from projections.query.records import Ns, Rfc3339
from projections.query.spans import log_out, readable, span_out
from projections.runs.values import text_of


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    position: str
    partition: int
    event_id: str


class AbandonmentOut(_Place, frozen=True, kw_only=True):
    """An attempt whose heartbeats stopped. `number` 0: an older release did not say it."""

    attempt_id: str
    task_id: str
    run_id: str
    number: int
    trace_id: str
    span_id: str
    time_ns: int
    last_heartbeat_ns: int


class FactOut(_Place, frozen=True, kw_only=True):
    """A fact that no telemetry told."""

    kind: Annotated[str, Meta(description="`namespace.name`")]
    version: Annotated[int, Meta(description="Version of the payload's shape")]
    time: Rfc3339
    time_ns: Ns
    subject: Annotated[dict[str, str | int], Meta(description="What it is about: a `type` and ids")]
    actor: Annotated[str, Meta(description="Who said it: a token's name, `local`, `watcher`, …")]
    idempotency_key: str
    payload: dict[str, Any]
    received_at: Rfc3339
    scrubbed: list[str]


class UnknownOut(_Place, frozen=True, kw_only=True):
    """An event of a tag that this release does not read."""

    tag: str
    size_bytes: int


def task_of(event: Event) -> str | None:
    """The id of the task that an event names, as the views have it: a number as text."""
    if isinstance(event, AttemptAbandoned):
        return event.task_id
    if isinstance(event, Fact):
        return text_of(event.subject.get("task_id"))
    if isinstance(event, Unknown):
        return None
    return text_of(event.attributes.get(names.TASK_ID))


def event_out(recorded: Recorded) -> msgspec.Struct:
    """The record of any event."""
    event = recorded.event
    if isinstance(event, Span):
        return span_out(recorded, event)
    if isinstance(event, LogRecord):
        return log_out(recorded, event)
    if kind_of(event) == "attempt_abandoned" and (lost := abandonment_of(event)):
        return _abandonment_out(recorded, lost)
    if isinstance(event, Fact):
        return fact_out(recorded, event)
    assert isinstance(event, Unknown)
    return UnknownOut(**_place(recorded), tag=event.tag, size_bytes=len(event.row))


def fact_out(recorded: Recorded, fact: Fact) -> FactOut:
    """The record of a fact; where nobody said its time, it is the time of its arrival."""
    time_ns = fact.time_ns or recorded.received_ns
    return FactOut(
        **_place(recorded),
        kind=fact.kind,
        version=fact.version,
        time=rfc3339(time_ns) or "",
        time_ns=time_ns,
        subject=fact.subject,
        actor=fact.actor,
        idempotency_key=fact.idempotency_key,
        payload=readable(fact.payload),
        received_at=rfc3339(recorded.received_ns) or "",
        scrubbed=list(fact.scrubbed),
    )


def _abandonment_out(recorded: Recorded, lost: Abandonment) -> AbandonmentOut:
    return AbandonmentOut(
        **_place(recorded),
        attempt_id=lost.attempt_id,
        task_id=lost.task_id,
        run_id=lost.run_id,
        number=lost.number,
        trace_id=lost.trace_id.hex(),
        span_id=lost.span_id.hex(),
        time_ns=lost.time_ns,
        last_heartbeat_ns=lost.last_heartbeat_ns,
    )


def _place(recorded: Recorded) -> dict[str, Any]:
    return {
        "position": str(recorded.position),
        "partition": recorded.partition,
        "event_id": recorded.event_id.hex(),
    }

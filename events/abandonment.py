"""The fact that an attempt's heartbeats stopped, so that its worker is taken for gone.

Written as a `Fact`; `attempt_abandoned.v1` of older releases is read as the same.
"""

from typing import Final, NamedTuple

import msgspec

from events import names
from events.schema import AttemptAbandoned, Event, Fact

VERSION: Final = 1


class Abandonment(NamedTuple):
    """What was said of an attempt that fell silent.

    `number` is its number in its run, 0 if unknown. `last_heartbeat_id` is the event of its last
    sign of life by arrival, `last_heartbeat_ns` that event's time by the sender's clock. `signs`
    is how many signs of life were known of it: one more, whatever any clock says, and it is not
    abandoned. 0 is unknown, as in `attempt_abandoned.v1`; then `last_heartbeat_ns` has to tell.
    """

    attempt_id: str
    task_id: str
    run_id: str
    number: int
    trace_id: bytes
    span_id: bytes
    time_ns: int
    last_heartbeat_ns: int
    last_heartbeat_id: bytes
    signs: int


class _Payload(msgspec.Struct):
    attempt_id: str
    last_heartbeat_ns: int
    last_heartbeat_event_id: str
    signs: int


class _Subject(msgspec.Struct):
    task_id: str
    run_id: str
    attempt: int


def fact_of(lost: Abandonment, actor: str) -> Fact:
    """The fact to append; it is one fact, whoever says it, for each count of signs of life."""
    subject: dict[str, str | int] = {
        "type": "attempt",
        "task_id": lost.task_id,
        "run_id": lost.run_id,
        "attempt": lost.number,
    }
    if lost.trace_id:
        subject["trace_id"] = lost.trace_id.hex()
    if lost.span_id:
        subject["span_id"] = lost.span_id.hex()
    return Fact(
        kind=names.FACT_ABANDONED,
        version=VERSION,
        time_ns=lost.time_ns,
        subject=subject,
        actor=actor,
        idempotency_key=str(lost.signs),
        payload={
            "attempt_id": lost.attempt_id,
            "last_heartbeat_ns": lost.last_heartbeat_ns,
            "last_heartbeat_event_id": lost.last_heartbeat_id.hex(),
            "signs": lost.signs,
        },
    )


def abandonment_of(event: Event) -> Abandonment | None:
    """What `event` says of an attempt that fell silent; None if it is about something else.

    Raises:
        ValueError: it is such a fact, and parts of it are missing or wrong.
    """
    if isinstance(event, AttemptAbandoned):
        return Abandonment(
            event.attempt_id, event.task_id, event.run_id, 0, event.trace_id, event.span_id,
            event.time_ns, event.last_heartbeat_ns, event.last_heartbeat_event_id, 0,
        )  # fmt: skip
    if not isinstance(event, Fact) or event.kind != names.FACT_ABANDONED:
        return None
    if event.version != VERSION:
        return None
    subject = msgspec.convert(event.subject, _Subject)
    said = msgspec.convert(event.payload, _Payload)
    return Abandonment(
        said.attempt_id, subject.task_id, subject.run_id, subject.attempt, event.trace_id,
        event.span_id, event.time_ns, said.last_heartbeat_ns,
        bytes.fromhex(said.last_heartbeat_event_id), said.signs,
    )  # fmt: skip

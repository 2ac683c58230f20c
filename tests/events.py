"""Factories of events for tests: ordinary values, any of them changed by name.

make_span(task="t1", status_code=2)        one attempt of task t1 that failed
make_log(event_name=names.ATTEMPT_STARTED) a lifecycle log record
make_batch([make_span(), make_span()])     what a receiver hands to the log
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from events import codec, names
from events.identity import Identity
from events.log.port import Batch
from events.schema import Block, Context, Event, Fact, LogRecord, Span, SpanEvent, Unknown

SECOND_NS = 1_000_000_000
BASE_NS = 1_780_000_000 * SECOND_NS
IDENTITY = Identity(b"spanledger test identity key".ljust(64, b"."))

_serial = itertools.count(1)


def span_id(number: int) -> bytes:
    """A span id that shows its number."""
    return number.to_bytes(8, "big")


def trace_id(number: int) -> bytes:
    """A trace id that shows its number."""
    return number.to_bytes(16, "big")


def make_context(*, service: str = "shop", instance: str = "worker-1", **changes: Any) -> Context:
    """A resource with a service name and an instance."""
    values: dict[str, Any] = {
        "resource_attributes": {
            names.SERVICE_NAME: service,
            names.SERVICE_INSTANCE_ID: instance,
        },
        "scope_name": "tests",
    }
    return Context(**values | changes)


def make_span(
    *,
    task: str | None = "task-1",
    run: str | None = None,
    attempt: int | None = None,
    attributes: dict[str, Any] | None = None,
    **changes: Any,
) -> Span:
    """A span of one second, unique unless ids are given; an attempt unless `task` is None."""
    number = next(_serial)
    given: dict[str, Any] = {}
    if task is not None:
        given[names.TASK_ID] = task
    if run is not None:
        given[names.TASK_RUN_ID] = run
    if attempt is not None:
        given[names.TASK_ATTEMPT] = attempt
    values: dict[str, Any] = {
        "trace_id": trace_id(number),
        "span_id": span_id(number),
        "parent_span_id": b"",
        "trace_state": "",
        "flags": 1,
        "name": "run",
        "kind": 1,
        "start_ns": BASE_NS,
        "attributes": given | (attributes or {}),
        "dropped_attributes_count": 0,
        "events": [],
        "dropped_events_count": 0,
        "links": [],
        "dropped_links_count": 0,
        "status_code": 0,
        "status_message": "",
    }
    values |= changes
    values.setdefault("end_ns", values["start_ns"] + SECOND_NS)
    return Span(**values)


def make_exception(
    type_: str = "ValueError", message: str = "bad order 17", stack: str = "", **changes: Any
) -> SpanEvent:
    """An `exception` event of a span."""
    attributes = {names.EXCEPTION_TYPE: type_, names.EXCEPTION_MESSAGE: message}
    if stack:
        attributes[names.EXCEPTION_STACKTRACE] = stack
    values: dict[str, Any] = {
        "time_ns": BASE_NS + SECOND_NS,
        "name": names.EXCEPTION_EVENT,
        "attributes": attributes,
        "dropped_attributes_count": 0,
    }
    return SpanEvent(**values | changes)


def make_log(
    *,
    event_name: str = "",
    task: str | None = None,
    run: str | None = None,
    attempt: int | None = None,
    attributes: dict[str, Any] | None = None,
    **changes: Any,
) -> LogRecord:
    """A log record, unique unless ids are given."""
    number = next(_serial)
    given: dict[str, Any] = {}
    if task is not None:
        given[names.TASK_ID] = task
    if run is not None:
        given[names.TASK_RUN_ID] = run
    if attempt is not None:
        given[names.TASK_ATTEMPT] = attempt
    values: dict[str, Any] = {
        "time_ns": BASE_NS,
        "observed_ns": BASE_NS,
        "severity_number": 9,
        "severity_text": "INFO",
        "body": "",
        "attributes": given | (attributes or {}),
        "dropped_attributes_count": 0,
        "flags": 0,
        "trace_id": trace_id(number),
        "span_id": span_id(number),
        "event_name": event_name,
    }
    return LogRecord(**values | changes)


def make_fact(**changes: Any) -> Fact:
    """A fact about a run, unique unless a key is given."""
    values: dict[str, Any] = {
        "kind": "acme.deployed",
        "version": 1,
        "time_ns": BASE_NS,
        "subject": {"type": "run", "task_id": "task-1", "run_id": "r1"},
        "actor": "ci",
        "idempotency_key": f"key-{next(_serial)}",
        "payload": {"build": 17, "notes": ["a", {"b": None}]},
    }
    return Fact(**values | changes)


def make_unknown(tag: str = "span.v9", *fields: Any) -> Unknown:
    """An event of a tag that a newer release wrote; it names a task, as a span would."""
    body = fields or (b"\x07" * 16, {names.TASK_ID: "task-1"}, "exception.", "task.attempt.")
    return Unknown(tag, msgspec.msgpack.encode([tag, *body]))


def make_batch(
    events: Iterable[Event],
    *,
    tenant: str = names.DEFAULT_TENANT,
    received_ns: int = BASE_NS,
    context: Context | None = None,
    identity: Identity = IDENTITY,
) -> Batch:
    """One block of events as a batch, with ids as a receiver makes them."""
    return batch_of(
        [Block(tenant, received_ns, context or make_context(), list(events))], identity=identity
    )


def batch_of(blocks: Sequence[Block], *, identity: Identity = IDENTITY) -> Batch:
    """Several blocks as one batch."""
    encoded, ids, times = [], [], []
    for block in blocks:
        context = codec.encode_context(block.context)
        rows = [codec.encode_event(event) for event in block.events]
        digest = identity.context_digest(block.tenant, context)
        ids += identity.event_ids(digest, rows)
        encoded.append((block.tenant, block.received_ns, context, rows))
        times += [_time_of(event) for event in block.events]
    return Batch.of(
        encoded,
        ids,
        time_min_ns=min(times, default=0),
        time_max_ns=max(times, default=0),
    )


def _time_of(event: Event) -> int:
    if isinstance(event, Unknown):
        return BASE_NS
    return event.start_ns if isinstance(event, Span) else event.time_ns or BASE_NS

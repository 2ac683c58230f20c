"""The events: frozen facts as they arrived, after scrubbing.

Each is a msgspec Struct encoded as a msgpack array whose first item is a literal, versioned
tag. Stored bytes never change: a new field comes last and has a default, a changed meaning is
a new tag. Everything OTLP carries is kept, so that a span leaves for Jaeger as it came in.

Attribute values map onto msgpack one to one: nil (no value set), bool, int (64 bit, signed),
float (64 bit), str, bin, array, map. Times are nanoseconds since 1970, UTC; 0 means absent.
"""

from typing import Any, Final

import msgspec

from events import names

Attributes = dict[str, Any]


class EntityRef(msgspec.Struct, frozen=True, array_like=True):
    """A resource's reference to an entity (opentelemetry/proto/common/v1 EntityRef)."""

    schema_url: str
    type: str
    id_keys: list[str]
    description_keys: list[str]


class Context(msgspec.Struct, frozen=True, array_like=True):
    """The resource and scope that a group of events shares."""

    resource_attributes: Attributes = {}
    resource_dropped_attributes_count: int = 0
    resource_entity_refs: list[EntityRef] = []
    resource_schema_url: str = ""
    scope_name: str = ""
    scope_version: str = ""
    scope_attributes: Attributes = {}
    scope_dropped_attributes_count: int = 0
    scope_schema_url: str = ""
    scrubbed: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class SpanEvent(msgspec.Struct, frozen=True, array_like=True):
    """A timed annotation of a span, such as an exception."""

    time_ns: int
    name: str
    attributes: Attributes
    dropped_attributes_count: int


class SpanLink(msgspec.Struct, frozen=True, array_like=True):
    """A pointer to another span."""

    trace_id: bytes
    span_id: bytes
    trace_state: str
    attributes: Attributes
    dropped_attributes_count: int
    flags: int


class Span(msgspec.Struct, frozen=True, array_like=True, tag=names.SPAN):
    """One span. `trace_id` has 16 bytes, `span_id` 8, `parent_span_id` 8 or none at a root.

    `kind` and `status_code` are OTLP's enum numbers. `end_ns` is 0 while the span runs.
    `scrubbed` names the kinds of private data that were replaced, `cut` what was shortened.
    """

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    trace_state: str
    flags: int
    name: str
    kind: int
    start_ns: int
    end_ns: int
    attributes: Attributes
    dropped_attributes_count: int
    events: list[SpanEvent]
    dropped_events_count: int
    links: list[SpanLink]
    dropped_links_count: int
    status_code: int
    status_message: str
    scrubbed: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class LogRecord(msgspec.Struct, frozen=True, array_like=True, tag=names.LOG_RECORD):
    """One log record. `trace_id` and `span_id` are empty where the sender gave none.

    `ordinal` numbers identical records of one request from 0: they are distinct facts.
    """

    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    body: Any
    attributes: Attributes
    dropped_attributes_count: int
    flags: int
    trace_id: bytes
    span_id: bytes
    event_name: str
    ordinal: int = 0
    scrubbed: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class AttemptAbandoned(msgspec.Struct, frozen=True, array_like=True, tag=names.ATTEMPT_ABANDONED):
    """An attempt's heartbeats stopped, as releases before the envelope `Fact` said it."""

    attempt_id: str
    task_id: str
    run_id: str
    trace_id: bytes
    span_id: bytes
    time_ns: int
    last_heartbeat_ns: int
    last_heartbeat_event_id: bytes


class Fact(msgspec.Struct, frozen=True, array_like=True, tag=names.FACT):
    """A fact that no sender's telemetry told: the envelope of whatever is decided or reported.

    `kind` is `namespace.name` and `version` that of its payload: whoever does not know both skips
    the fact. `subject` is what it is about: a `type` and what identifies one of it (`task_id`,
    `run_id`, `attempt`, `trace_id` and `span_id` in hex, …). `actor` said it. `time_ns` is when it
    was so, 0 where nobody said: then its arrival counts. The `idempotency_key` makes it one fact
    however often it is sent. `scrubbed` is as in a span.
    """

    kind: str
    version: int
    time_ns: int
    subject: dict[str, str | int]
    actor: str
    idempotency_key: str
    payload: Attributes
    scrubbed: tuple[str, ...] = ()

    @property
    def trace_id(self) -> bytes:
        """The trace that the subject names; empty if it names none."""
        return _id_of(self.subject.get("trace_id"))

    @property
    def span_id(self) -> bytes:
        """The span that the subject names; empty if it names none."""
        return _id_of(self.subject.get("span_id"))


def _id_of(value: str | int | None) -> bytes:
    try:
        return bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        return b""


class Unknown(msgspec.Struct, frozen=True, array_like=True, tag="unknown"):
    """An event with a tag that this release does not know: carried as it is, never decoded."""

    tag: str
    row: bytes

    @property
    def trace_id(self) -> bytes:
        """Empty: nobody here knows where it would stand."""
        return b""

    @property
    def span_id(self) -> bytes:
        """Empty, too."""
        return b""


Event = Span | LogRecord | AttemptAbandoned | Fact | Unknown
TAGS: Final = frozenset({names.SPAN, names.LOG_RECORD, names.ATTEMPT_ABANDONED, names.FACT})
"""The tags that this release reads."""


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Events of one tenant that share a context and an arrival time."""

    tenant: str
    received_ns: int
    context: Context
    events: list[Event]


class RawBlock(msgspec.Struct, frozen=True, array_like=True):
    """A `Block` whose parts are left as their exact bytes."""

    tenant: str
    received_ns: int
    context: msgspec.Raw
    events: list[msgspec.Raw]

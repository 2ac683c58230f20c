"""What a rule sees of one span or log record: all that joining needs, as it came.

Stored as msgpack: new fields go to the end, with a default. `values` are raw, by the slots of the
rule set that saw it (`RuleSet.slots`); those of an `event[…]` source are lists of (time, value).
"""

from typing import Any, NamedTuple

import msgspec


class Origin(NamedTuple):
    """Where an event stands in the log, and whose it is."""

    tenant: str
    event_id: bytes
    partition: int
    position: int


class Segment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt within a span: from an event to another (or the span's end).

    `closed`: an event closed it, and `said` is the value that `split.status_from` names there.
    """

    start_ns: int
    end_ns: int
    closed: bool
    said: Any


class Observation(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """See the module. `rule` is empty where no rule took it and another one asks for its values.

    `kept`: a later arrival may need it; others are placed once and for all. For a log record
    `start_ns` is its time, `end_ns` is 0 and `name` its event name. `end_ns` 0 of a span: it runs.
    """

    tenant: str
    event_id: bytes
    partition: int
    position: int
    rule: str
    role: int
    is_log: bool
    kept: bool
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    start_ns: int
    end_ns: int
    kind: int
    status_code: int
    values: dict[int, Any]
    segments: tuple[Segment, ...] | None
    instance: str | None
    host: str | None
    component: str | None
    environment: str | None
    status_message: str = ""
    told: dict[str, Any] = {}  # of what failed: the attributes that tell which error it is


encode_observation = msgspec.msgpack.Encoder().encode
decode_observation = msgspec.msgpack.Decoder(Observation).decode

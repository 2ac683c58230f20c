"""Events of the log as JSON documents and as short lines for people."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from rich.text import Text

from events.abandonment import abandonment_of
from events.kinds import is_of_kind, kind_of
from events.log.port import Recorded
from events.schema import AttemptAbandoned, Event, Fact, LogRecord, Span, Unknown
from events.times import human_duration, rfc3339
from projections.query.events import task_of
from service.cli.output.render import plain

_ERROR: Final = 2  # OTLP's STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted; None, or no trace id, takes all."""

    kind: str | None = None
    trace_ids: tuple[bytes, ...] = ()
    task_id: str | None = None
    tenant: str | None = None

    def takes(self, recorded: Recorded) -> bool:
        """Whether the event is wanted."""
        event = recorded.event
        return (
            (self.tenant is None or recorded.tenant == self.tenant)
            and (self.kind is None or is_of_kind(event, self.kind))
            and (not self.trace_ids or event.trace_id in self.trace_ids)
            and (self.task_id is None or task_of(event) == self.task_id)
        )


def event_document(recorded: Recorded) -> dict[str, Any]:
    """Everything known about an event: ids in hex, times in RFC 3339 and ns, then the event."""
    event = recorded.event
    return {
        "position": str(recorded.position),
        "partition": recorded.partition,
        "event_id": recorded.event_id.hex(),
        "kind": kind_of(event),
        "tenant": recorded.tenant,
        "trace_id": event.trace_id.hex(),
        "span_id": event.span_id.hex(),
        "received_at": rfc3339(recorded.received_ns),
        "received_ns": recorded.received_ns,
        "committed_at": rfc3339(recorded.committed_ns),
        "committed_ns": recorded.committed_ns,
        "context": _json_value(recorded.context),
        "event": _event_value(event),
    }


def event_line(recorded: Recorded) -> Text:
    """The event on one short line."""
    event = recorded.event
    when = (rfc3339(recorded.committed_ns) or "")[:19].replace("T", " ")
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{recorded.position:>8}  {when}  ", style="dim")
    task = task_of(event)
    if isinstance(event, Span):
        failed = event.status_code == _ERROR
        length = human_duration(event.end_ns - event.start_ns) if event.end_ns else "running"
        line.append(f"span  {length:>9}  {plain(event.name)}", style="red" if failed else "")
    elif isinstance(event, LogRecord):
        said = event.event_name or event.body
        line.append(f"log   {event.severity_text or '':>9}  {plain(str(said))}", style="cyan")
    else:
        line.append(_fact_text(event), style="magenta")
    if task is not None:
        line.append(f"  task {plain(task)}", style="bold")
    line.append(f"  {event.trace_id.hex()}", style="dim")
    return line


def _fact_text(event: AttemptAbandoned | Fact | Unknown) -> str:
    if isinstance(event, Unknown):
        return f"unknown          {plain(event.tag)}, {len(event.row)} bytes"
    if kind_of(event) == "attempt_abandoned" and (lost := abandonment_of(event)):
        return f"abandoned        {plain(lost.attempt_id)}"
    assert isinstance(event, Fact)
    return f"fact  {plain(event.actor):>9}  {plain(event.kind)}"


def _event_value(event: Event) -> Any:
    """An event as a document; of a tag that is not known here, its fields in their order."""
    if not isinstance(event, Unknown):
        return _json_value(event)
    _, *fields = msgspec.msgpack.decode(
        event.row, ext_hook=lambda code, data: f"Ext({code}, {bytes(data)!r})"
    )
    return {"tag": event.tag, "fields": _json_value(msgspec.to_builtins(fields))}


def _json_value(value: Any, field: str = "") -> Any:
    """`value` as JSON can carry it: ids in hex, other bytes in base64, NaN and ∞ as words."""
    if isinstance(value, msgspec.Struct):
        return {name: _json_value(getattr(value, name), name) for name in value.__struct_fields__}
    if isinstance(value, bytes):
        return value.hex() if field.endswith("_id") else base64.b64encode(value).decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return value

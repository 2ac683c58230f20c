"""OTLP/JSON to groups, by the OTLP/JSON rules: the same rows as protobuf gives.

Ids are hex, 64-bit integers strings or numbers, enums numbers or names, bytes base64, NaN and
infinities strings; names are lowerCamelCase (snake_case is taken too), null is an absent field
and unknown fields are ignored. A well-formed body costs one typed pass. Any other is read with
its events left as bytes, and each is then parsed alone, so that a bad one is refused alone.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
import re2

from events.errors import BadInput
from events.schema import Context, EntityRef, LogRecord, Span, SpanEvent, SpanLink
from service.otlp.decode import json_types as wire
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.json_values import (
    Fault,
    any_value,
    attributes,
    hex_id,
    severity,
    span_kind,
    status_code,
    time_ns,
    uint32,
)
from service.otlp.decode.limits import Cuts, Limits, add_dropped
from service.otlp.decode.weight import MAX_EVENTS, check_json, too_heavy

LENIENT_LIMIT_BYTES: Final = 1 << 20
"""An event that needs the lenient parser may not be larger: its objects take 20 times as much."""

_SNAKE: Final = re2.compile(rb'"[a-z]+(?:_[a-z]+)+"\s*:')
_NO_SPANS: Final = "this body holds logs or metrics; send them to their own path"
_NO_LOGS: Final = "this body holds spans or metrics; send them to their own path"
_NOT_UTF8: Final = "a string is not UTF-8"

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F]..)|.)", re.DOTALL
)

Message = TypeVar("Message")
Envelope = TypeVar("Envelope", wire.RawTraces, wire.RawLogs)
_traces = msgspec.json.Decoder(wire.Traces)
_logs = msgspec.json.Decoder(wire.Logs)


def decode_traces_json(body: bytes, limits: Limits) -> Decoded:
    """The spans of an ExportTraceServiceRequest in JSON.

    Raises:
        WrongSignal: these are log records or metrics.
        BadInput: this is no OTLP/JSON at all.
        TooLarge: it holds too many parts.
    """
    check_json(body)
    assembly = Assembly(limits)
    traces = _whole(_traces, body)
    if traces is None:
        _split(body, wire.RawTraces, wire.Span, _add_span, assembly)
        return assembly.finish()
    if traces.resource_spans is None and (traces.resource_logs or traces.resource_metrics):
        raise WrongSignal(_NO_SPANS)
    for resource in traces.resource_spans or ():
        for scope in resource.scope_spans or ():
            if scope.spans and _open(
                resource.resource, resource.schema_url, scope.scope, scope.schema_url,
                assembly, len(scope.spans),
            ):  # fmt: skip
                _add_each(scope.spans, _add_span, assembly)
                assembly.close()
    return assembly.finish()


def decode_logs_json(body: bytes, limits: Limits) -> Decoded:
    """The log records of an ExportLogsServiceRequest in JSON.

    Raises:
        WrongSignal: these are spans or metrics.
        BadInput: this is no OTLP/JSON at all.
        TooLarge: it holds too many parts.
    """
    check_json(body)
    assembly = Assembly(limits)
    logs = _whole(_logs, body)
    if logs is None:
        _split(body, wire.RawLogs, wire.LogRecord, _add_log, assembly)
        return assembly.finish()
    if logs.resource_logs is None and (logs.resource_spans or logs.resource_metrics):
        raise WrongSignal(_NO_LOGS)
    for resource in logs.resource_logs or ():
        for scope in resource.scope_logs or ():
            if scope.log_records and _open(
                resource.resource, resource.schema_url, scope.scope, scope.schema_url,
                assembly, len(scope.log_records),
            ):  # fmt: skip
                _add_each(scope.log_records, _add_log, assembly)
                assembly.close()
    return assembly.finish()


def _whole(decoder: msgspec.json.Decoder[Message], body: bytes) -> Message | None:
    """The typed message; None if the body needs a closer look."""
    if _SNAKE.search(body):
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    except RecursionError:
        raise BadInput("the JSON is nested too deeply") from None


def _split(
    body: bytes,
    envelope: type[Envelope],
    message: type[Message],
    add: Callable[[Message, Assembly], None],
    assembly: Assembly,
) -> None:
    """Parse each event alone; the bad ones are refused."""
    request = _enveloped(body, envelope)
    if request.is_another_signal():
        raise WrongSignal(_NO_SPANS if envelope is wire.RawTraces else _NO_LOGS)
    for resource in request.resources():
        for scope in resource.scopes():
            events = scope.events()
            try:
                opened = _open(
                    _lenient(resource.resource, wire.Resource),
                    resource.schemaUrl or resource.schema_url,
                    _lenient(scope.scope, wire.Scope),
                    scope.schemaUrl or scope.schema_url,
                    assembly, len(events),
                )  # fmt: skip
            except (Fault, UnicodeEncodeError) as exc:
                assembly.refuse(_reason(exc), "the resource or scope of a group", len(events))
                continue
            if opened:
                for number, data in enumerate(events):
                    _add_lenient(data, message, add, assembly, number)
                assembly.close()


def _enveloped(body: bytes, envelope: type[Envelope]) -> Envelope:
    try:
        return msgspec.json.decode(body, type=envelope)
    except RecursionError:
        raise BadInput("the JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        marked = _ESCAPE.sub(_mark_half_pair, body)
        if marked == body:
            raise BadInput(f"the body is no OTLP/JSON: {exc}") from None
    return _enveloped(marked, envelope)


def _mark_half_pair(escape: re.Match[bytes]) -> bytes:
    """Half a surrogate pair is no text: bad bytes in its place fail in their own event only."""
    return b"\xff" if escape["half"] else escape[0]


def _add_lenient(
    data: msgspec.Raw,
    message: type[Message],
    add: Callable[[Message, Assembly], None],
    assembly: Assembly,
    number: int,
) -> None:
    try:
        event = _lenient(data, message)
        if event is None:
            raise Fault("is null")
        add(event, assembly)
    except (Fault, UnicodeEncodeError) as exc:
        assembly.refuse(_reason(exc), f"{message.__name__} {number} of its scope")


def _lenient(data: msgspec.Raw, message: type[Message]) -> Message | None:
    """One message in either spelling.

    Raises:
        Fault: it breaks the rules.
    """
    if not data or data == b"null":
        return None
    if len(data) > LENIENT_LIMIT_BYTES:
        raise Fault(f"is malformed, or spelled in snake_case and over {LENIENT_LIMIT_BYTES} bytes")
    try:
        return msgspec.convert(_camel(json.loads(bytes(data).decode())), message)
    except UnicodeDecodeError:
        raise Fault(_NOT_UTF8) from None
    except RecursionError:
        raise Fault("is nested too deeply") from None
    except ValueError as exc:
        raise Fault(str(exc)) from None


def _camel(value: Any) -> Any:
    """`value` with the names of all fields in lowerCamelCase; OTLP/JSON has no free keys."""
    if isinstance(value, list):
        return [_camel(item) for item in value]
    if isinstance(value, dict):
        return {_camel_name(name): _camel(item) for name, item in value.items()}
    return value


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _reason(exc: Fault | UnicodeEncodeError) -> str:
    return str(exc) if isinstance(exc, Fault) else _NOT_UTF8


def _add_each(
    events: list[Message], add: Callable[[Message, Assembly], None], assembly: Assembly
) -> None:
    for number, event in enumerate(events):
        try:
            add(event, assembly)
        except Fault as exc:
            assembly.refuse(str(exc), f"{type(event).__name__} {number} of its scope")


def _add_span(span: wire.Span, assembly: Assembly) -> None:
    cuts: Cuts = Counter()
    limits = assembly.limits
    found, repeated = attributes(span.attributes, cuts, limits)
    status = span.status or wire.Status()
    assembly.add_span(
        Span(
            hex_id(span.trace_id, "trace_id"),
            hex_id(span.span_id, "span_id"),
            hex_id(span.parent_span_id, "parent_span_id"),
            span.trace_state or "",
            uint32(span.flags, "flags"),
            span.name or "",
            span_kind(span.kind),
            time_ns(span.start_time_unix_nano, "start_time_unix_nano"),
            time_ns(span.end_time_unix_nano, "end_time_unix_nano"),
            found,
            _dropped(span.dropped_attributes_count, repeated),
            [_event(event, cuts, assembly) for event in span.events or ()],
            uint32(span.dropped_events_count, "dropped_events_count"),
            [_link(link, cuts, assembly) for link in span.links or ()],
            uint32(span.dropped_links_count, "dropped_links_count"),
            status_code(status.code),
            status.message or "",
        ),
        None,
        cuts,
    )


def _dropped(count: wire.Integer, repeated: int) -> int:
    return add_dropped(uint32(count, "dropped_attributes_count"), repeated)


def _event(event: wire.Event, cuts: Cuts, assembly: Assembly) -> SpanEvent:
    found, repeated = attributes(event.attributes, cuts, assembly.limits)
    dropped = _dropped(event.dropped_attributes_count, repeated)
    at_ns = time_ns(event.time_unix_nano, "time_unix_nano of an event")
    return SpanEvent(at_ns, event.name or "", found, dropped)


def _link(link: wire.Link, cuts: Cuts, assembly: Assembly) -> SpanLink:
    found, repeated = attributes(link.attributes, cuts, assembly.limits)
    return SpanLink(
        hex_id(link.trace_id, "trace_id of a link"),
        hex_id(link.span_id, "span_id of a link"),
        link.trace_state or "",
        found,
        _dropped(link.dropped_attributes_count, repeated),
        uint32(link.flags, "flags"),
    )


def _add_log(record: wire.LogRecord, assembly: Assembly) -> None:
    cuts: Cuts = Counter()
    limits = assembly.limits
    found, repeated = attributes(record.attributes, cuts, limits)
    assembly.add_log(
        LogRecord(
            time_ns(record.time_unix_nano, "time_unix_nano"),
            time_ns(record.observed_time_unix_nano, "observed_time_unix_nano"),
            severity(record.severity_number),
            record.severity_text or "",
            any_value(record.body, cuts, limits, 0),
            found,
            _dropped(record.dropped_attributes_count, repeated),
            uint32(record.flags, "flags"),
            hex_id(record.trace_id, "trace_id"),
            hex_id(record.span_id, "span_id"),
            record.event_name or "",
        ),
        cuts,
    )


def _open(
    resource: wire.Resource | None,
    resource_schema: str | None,
    scope: wire.Scope | None,
    scope_schema: str | None,
    assembly: Assembly,
    count: int,
) -> bool:
    """Begin a group of `count` events; False if they are refused with their context."""
    if assembly.accepted + assembly.refused + count > MAX_EVENTS:
        raise too_heavy()
    cuts: Cuts = Counter()
    resource = resource or wire.Resource()
    scope = scope or wire.Scope()
    try:
        found, repeated = attributes(resource.attributes, cuts, assembly.limits)
        scope_found, scope_repeated = attributes(scope.attributes, cuts, assembly.limits)
        context = Context(
            found,
            _dropped(resource.dropped_attributes_count, repeated),
            [
                EntityRef(
                    ref.schema_url or "", ref.type or "", ref.id_keys or [],
                    ref.description_keys or [],
                )
                for ref in resource.entity_refs or ()
            ],
            resource_schema or "",
            scope.name or "",
            scope.version or "",
            scope_found,
            _dropped(scope.dropped_attributes_count, scope_repeated),
            scope_schema or "",
        )  # fmt: skip
    except Fault as exc:
        assembly.refuse(str(exc), "the resource or scope of a group", count)
        return False
    assembly.open(context, cuts)
    return True

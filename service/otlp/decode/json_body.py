"""OTLP/JSON to groups, by the OTLP/JSON rules: the same rows as protobuf gives.

Ids are hex, 64-bit integers strings or numbers, enums numbers or names, bytes base64, NaN and
infinities strings; names are lowerCamelCase (snake_case is taken too), null is an absent field
and unknown fields are ignored. A well-formed body costs one typed pass. Any other is taken apart
(`json_split`), and each event is parsed alone, so that a bad one is refused alone.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from events.errors import BadInput
from events.schema import Attributes, Context, EntityRef, LogRecord, Span, SpanEvent, SpanLink
from service.otlp.decode import json_split
from service.otlp.decode import json_types as wire
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, WrongSignal
from service.otlp.decode.json_names import in_camel_case
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
from service.otlp.decode.weight import check_events, check_json

_NO_SPANS: Final = "this body holds logs or metrics; send them to their own path"
_NO_LOGS: Final = "this body holds spans or metrics; send them to their own path"

_NOTHING: Final[Attributes] = {}

Message = TypeVar("Message")
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
    body = in_camel_case(body)
    assembly = Assembly(limits, len(body))
    traces = _whole(_traces, body)
    if traces is None:
        request = json_split.taken_apart(body)
        if request.resource_spans is None and request.holds_another():
            raise WrongSignal(_NO_SPANS)
        _split(json_split.spans(request), _add_span, assembly)
        return assembly.finish()
    if traces.resource_spans is None and (traces.resource_logs or traces.resource_metrics):
        raise WrongSignal(_NO_SPANS)
    for resource in traces.resource_spans or ():
        scopes = (*(resource.scope_spans or ()), *(resource.instrumentation_library_spans or ()))
        for scope in scopes:
            if scope.spans and _open(
                resource.resource, resource.schema_url,
                scope.scope or scope.instrumentation_library, scope.schema_url,
                assembly, len(scope.spans),
            ):  # fmt: skip
                _add_each(scope.spans, _add_span, assembly)
                assembly.close()
    return _finished(assembly, body)


def decode_logs_json(body: bytes, limits: Limits) -> Decoded:
    """The log records of an ExportLogsServiceRequest in JSON.

    Raises:
        WrongSignal: these are spans or metrics.
        BadInput: this is no OTLP/JSON at all.
        TooLarge: it holds too many parts.
    """
    check_json(body)
    body = in_camel_case(body)
    assembly = Assembly(limits, len(body))
    logs = _whole(_logs, body)
    if logs is None:
        request = json_split.taken_apart(body)
        if request.resource_logs is None and request.holds_another():
            raise WrongSignal(_NO_LOGS)
        _split(json_split.log_records(request), _add_log, assembly)
        return assembly.finish()
    if logs.resource_logs is None and (logs.resource_spans or logs.resource_metrics):
        raise WrongSignal(_NO_LOGS)
    for resource in logs.resource_logs or ():
        scopes = (*(resource.scope_logs or ()), *(resource.instrumentation_library_logs or ()))
        for scope in scopes:
            records = (*(scope.log_records or ()), *(scope.logs or ()))
            if records and _open(
                resource.resource, resource.schema_url,
                scope.scope or scope.instrumentation_library, scope.schema_url,
                assembly, len(records),
            ):  # fmt: skip
                _add_each(records, _add_log, assembly)
                assembly.close()
    return _finished(assembly, body)


def _finished(assembly: Assembly, body: bytes) -> Decoded:
    """What was collected; where that is nothing, with what else there was in `body`."""
    if assembly.accepted or assembly.refused:
        return assembly.finish()
    return assembly.finish(json_split.unread_bytes(body))


def _whole(decoder: msgspec.json.Decoder[Message], body: bytes) -> Message | None:
    """The typed message; None if the body needs a closer look."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    except RecursionError:
        raise BadInput("the JSON is nested too deeply") from None


def _split(
    groups: Iterable[json_split.Group[Message]],
    add: Callable[[Message, Assembly], None],
    assembly: Assembly,
) -> None:
    """Add each event of `groups` alone; the bad ones are refused."""
    for group in groups:
        if isinstance(group, json_split.Unread):
            assembly.refuse(group.fault, group.name, group.count)
        elif _open(*group.context, assembly, len(group.events)):
            for event, name in group.read():
                if isinstance(event, Fault):
                    assembly.refuse(str(event), name)
                    continue
                try:
                    add(event, assembly)
                except Fault as exc:
                    assembly.refuse(str(exc), name)
            assembly.close()


def _add_each(
    events: Iterable[Message], add: Callable[[Message, Assembly], None], assembly: Assembly
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
    sent_events, sent_links = span.events or (), span.links or ()
    events = [_event(event, cuts, assembly) for event in limits.events(sent_events, cuts)]
    links = [_link(link, cuts, assembly) for link in limits.links(sent_links, cuts)]
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
            events,
            _dropped(span.dropped_events_count, len(sent_events) - len(events), "events"),
            links,
            _dropped(span.dropped_links_count, len(sent_links) - len(links), "links"),
            status_code(status.code),
            status.message or "",
        ),
        None,
        cuts,
    )


def _dropped(count: wire.Integer, more: int, what: str = "attributes") -> int:
    return add_dropped(uint32(count, f"dropped_{what}_count"), more)


def _event(event: wire.Event, cuts: Cuts, assembly: Assembly) -> SpanEvent:
    found, repeated, dropped, at_ns = _NOTHING, 0, 0, 0  # a span may have very many small ones
    if event.attributes:
        found, repeated = attributes(event.attributes, cuts, assembly.limits)
    if repeated or event.dropped_attributes_count is not None:
        dropped = _dropped(event.dropped_attributes_count, repeated)
    if event.time_unix_nano is not None:
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
    # A JSON event has more bytes than one in protobuf.
    check_events(assembly.accepted + assembly.refused + count, assembly.size * 2 // 3)
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

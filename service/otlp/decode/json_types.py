"""The messages of OTLP/JSON as msgspec types; null and a missing field are the same.

Names are lowerCamelCase, in which `json_names` writes those of a body before it is read.
`Raw` cannot be in a union: there it is empty if missing.
"""

import msgspec

Integer = int | float | str | None
"""A 64-bit integer, which JSON carries as a string or a number."""

Text = str | None


class AnyValue(msgspec.Struct, rename="camel", gc=False):
    """At most one field is set."""

    string_value: Text = None
    bool_value: bool | None = None
    int_value: Integer = None
    double_value: int | float | str | None = None
    array_value: "ArrayValue | None" = None
    kvlist_value: "KeyValueList | None" = None
    bytes_value: Text = None


class ArrayValue(msgspec.Struct):
    values: list[AnyValue | None] | None = None


class KeyValue(msgspec.Struct):
    key: Text = None
    value: AnyValue | None = None


class KeyValueList(msgspec.Struct):
    values: list[KeyValue] | None = None


class Event(msgspec.Struct, rename="camel"):
    time_unix_nano: Integer = None
    name: Text = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class Link(msgspec.Struct, rename="camel"):
    trace_id: Text = None
    span_id: Text = None
    trace_state: Text = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    flags: Integer = None


class Status(msgspec.Struct):
    message: Text = None
    code: Integer = None


class Span(msgspec.Struct, rename="camel"):
    trace_id: Text = None
    span_id: Text = None
    trace_state: Text = None
    parent_span_id: Text = None
    flags: Integer = None
    name: Text = None
    kind: Integer = None
    start_time_unix_nano: Integer = None
    end_time_unix_nano: Integer = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    events: list[Event] | None = None
    dropped_events_count: Integer = None
    links: list[Link] | None = None
    dropped_links_count: Integer = None
    status: Status | None = None


class LogRecord(msgspec.Struct, rename="camel"):
    time_unix_nano: Integer = None
    observed_time_unix_nano: Integer = None
    severity_number: Integer = None
    severity_text: Text = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    flags: Integer = None
    trace_id: Text = None
    span_id: Text = None
    event_name: Text = None


class EntityRef(msgspec.Struct, rename="camel"):
    schema_url: Text = None
    type: Text = None
    id_keys: list[str] | None = None
    description_keys: list[str] | None = None


class Resource(msgspec.Struct, rename="camel"):
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None
    entity_refs: list[EntityRef] | None = None


class Scope(msgspec.Struct, rename="camel"):
    name: Text = None
    version: Text = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: Integer = None


class ScopeSpans(msgspec.Struct, rename="camel"):
    """Before OTLP 0.15 the scope was an instrumentation library."""

    scope: Scope | None = None
    instrumentation_library: Scope | None = None
    spans: list[Span] | None = None
    schema_url: Text = None


class ResourceSpans(msgspec.Struct, rename="camel"):
    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None
    instrumentation_library_spans: list[ScopeSpans] | None = None
    schema_url: Text = None


class Traces(msgspec.Struct, rename="camel"):
    resource_spans: list[ResourceSpans] | None = None
    resource_logs: msgspec.Raw = msgspec.Raw()
    resource_metrics: msgspec.Raw = msgspec.Raw()


class ScopeLogs(msgspec.Struct, rename="camel"):
    """Before OTLP 0.15 the records were called `logs`, too."""

    scope: Scope | None = None
    instrumentation_library: Scope | None = None
    log_records: list[LogRecord] | None = None
    logs: list[LogRecord] | None = None
    schema_url: Text = None


class ResourceLogs(msgspec.Struct, rename="camel"):
    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None
    instrumentation_library_logs: list[ScopeLogs] | None = None
    schema_url: Text = None


class Logs(msgspec.Struct, rename="camel"):
    resource_logs: list[ResourceLogs] | None = None
    resource_spans: msgspec.Raw = msgspec.Raw()
    resource_metrics: msgspec.Raw = msgspec.Raw()


Raws = list[msgspec.Raw] | None


class RawScope(msgspec.Struct, rename="camel"):
    """ScopeSpans or ScopeLogs, with everything in it left as bytes."""

    scope: msgspec.Raw = msgspec.Raw()
    instrumentation_library: msgspec.Raw = msgspec.Raw()
    spans: Raws = None
    log_records: Raws = None
    logs: Raws = None
    schema_url: msgspec.Raw = msgspec.Raw()


class RawResource(msgspec.Struct, rename="camel"):
    """ResourceSpans or ResourceLogs, likewise."""

    resource: msgspec.Raw = msgspec.Raw()
    scope_spans: Raws = None
    instrumentation_library_spans: Raws = None
    scope_logs: Raws = None
    instrumentation_library_logs: Raws = None
    schema_url: msgspec.Raw = msgspec.Raw()


class RawRequest(msgspec.Struct, rename="camel"):
    """A request of any signal, likewise."""

    resource_spans: Raws = None
    resource_logs: Raws = None
    resource_metrics: Raws = None

    def holds_another(self) -> bool:
        """Whether any signal has something, for a request that lacks the one that is wanted."""
        return any((self.resource_spans, self.resource_logs, self.resource_metrics))

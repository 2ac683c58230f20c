"""Field names of OTLP/JSON in lowerCamelCase, whichever way a sender spelled them.

Protobuf's rules for JSON let a parser take the names of the `.proto` files as well. Only names of
OTLP are looked for, and only where a name stands: a quote before, a quote and a colon behind. In
a string both quotes would be escaped, so nothing that a sender said is touched.
"""

import re
from typing import Final

import re2

_NAMES: Final = (
    "resource_spans",
    "resource_logs",
    "resource_metrics",
    "scope_spans",
    "scope_logs",
    "scope_metrics",
    "instrumentation_library",
    "instrumentation_library_spans",
    "instrumentation_library_logs",
    "schema_url",
    "log_records",
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "time_unix_nano",
    "observed_time_unix_nano",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
    "severity_number",
    "severity_text",
    "event_name",
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
    "entity_refs",
    "id_keys",
    "description_keys",
)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


_ANY: Final = re2.compile(rf'"(?:{"|".join(_NAMES)})"\s*:'.encode())
# A pattern for each name: with a fixed replacement none of its matches costs a call.
_RENAMED: Final = [
    (
        b'"%b"' % name.encode(),
        re.compile(rf'"{name}"(?=\s*:)'.encode()),
        b'"%b"' % _camel(name).encode(),
    )
    for name in _NAMES
]


def in_camel_case(body: bytes) -> bytes:
    """`body` with every name of a field of OTLP in lowerCamelCase."""
    if b"_" not in body or not _ANY.search(body):
        return body
    for quoted, name, renamed in _RENAMED:
        if quoted in body:
            body = name.sub(renamed, body)
    return body

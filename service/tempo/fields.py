"""The fields of spans that TraceQL names, and their values."""

from typing import Any, Final

from events.schema import Attributes, Context, Span

STATUSES: Final = ("unset", "ok", "error")
KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
SCOPES: Final = ("span", "resource", "event", "link", "instrumentation")
ROOT: Final = "root"
ROOT_FIELDS: Final = {
    "rootServiceName": "service", "rootService": "service", "rootName": "name",
    "rootTraceName": "name",
}  # fmt: skip
NESTED: Final = "nestedSetParent"
INTRINSICS: Final = ("name", "status", "kind", "duration", NESTED)


def values_of(scope: str, key: str, context: Context, span: Span) -> list[Any]:
    """The values that a field of a span has; none of what is of the trace's root."""
    if scope == "intrinsic":
        return [_intrinsic(key, span)]
    if scope == ROOT:
        return []
    return [of[key] for of in _places(scope, context, span) if key in of]


def _intrinsic(key: str, span: Span) -> Any:
    if key == "name":
        return span.name
    if key == "duration":
        return max(span.end_ns - span.start_ns, 0)
    if key == NESTED:
        return 1 if span.parent_span_id else -1
    words, number = (STATUSES, span.status_code) if key == "status" else (KINDS, span.kind)
    return words[number] if 0 <= number < len(words) else words[0]


def _places(scope: str, context: Context, span: Span) -> list[Attributes]:
    if scope in ("event", "link"):
        held = span.events if scope == "event" else span.links
        return [part.attributes for part in held]
    of = {
        "span": [span.attributes], "resource": [context.resource_attributes],
        "instrumentation": [context.scope_attributes],
    }  # fmt: skip
    return of.get(scope, [span.attributes, context.resource_attributes])


def otlp(value: Any) -> dict[str, Any]:
    """A plain value as OTLP has it in JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}

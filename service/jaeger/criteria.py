"""A search as Jaeger asks it, as a query of the index.

Every attribute must be on one span: on itself, its scope, its resource, an event or a link of it.
Values are compared as text: Jaeger's page sends nothing else. Some keys are no attributes: `error`,
`span.status`, `span.kind`, `scope.name`, `scope.version`; `resource.` looks in the resource alone.
"""

from typing import Any, Final

from events.errors import BadInput
from events.schema import Context, Span
from projections.views.spans.attributes import has, says
from projections.views.spans.search import END_NS, Query
from projections.views.spans.tokens import (
    ANY,
    KIND,
    NAME,
    RESOURCE,
    SCOPE,
    SERVICE,
    STATUS,
    VERSION,
    seed_of,
    service_of,
    text_of,
    token,
)

KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
"""Jaeger's words for the kinds of spans, by OTLP's numbers."""
_STATUSES: Final = ("unset", "ok", "error")
_ERROR: Final = 2
_TRUE: Final = frozenset({"1", "t", "true"})
_FALSE: Final = frozenset({"0", "f", "false"})


def query_of(parameters: Any, tenant: str) -> Query:
    """The query of `TraceQueryParameters`.

    Raises:
        BadInput: `error` is neither true nor false.
    """
    pairs = {pair.key: text_of(value_of(pair.value)) for pair in parameters.attributes}
    wanted = _Wanted(parameters.service_name, parameters.operation_name, pairs)
    return Query(
        tenant,
        wanted.tokens(seed_of(tenant)),
        wanted.matches,
        first_ns=_ns(parameters, "start_time_min", 0),
        last_ns=_ns(parameters, "start_time_max", END_NS),
        shortest_ns=_ns(parameters, "duration_min", 0),
        longest_ns=_ns(parameters, "duration_max", 0) or END_NS,
    )


def value_of(value: Any) -> Any:
    """A value of Jaeger's as ours; None if nothing is set."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value_of(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)


def _ns(parameters: Any, name: str, default: int) -> int:
    if not parameters.HasField(name):
        return default
    found = getattr(parameters, name)
    ns: int = found.seconds * 10**9 + found.nanos
    return min(max(ns, 0), END_NS)


class _Wanted:
    """What a span must be, and how it is found."""

    def __init__(self, service: str, operation: str, pairs: dict[str, str]) -> None:
        self._service = service
        self._operation = operation
        self._plain = dict(pairs)
        self._statuses = _statuses(self._plain)
        kind = self._plain.pop("span.kind", None)
        self._kind = None if kind is None else _number(KINDS, kind)
        self._scope = self._plain.pop("scope.name", None)
        self._version = self._plain.pop("scope.version", None)
        self._resource = {
            key.removeprefix(RESOURCE): self._plain.pop(key)
            for key in list(self._plain) if key.startswith(RESOURCE)
        }  # fmt: skip

    def tokens(self, seed: int) -> tuple[tuple[int, ...], ...]:
        """See `Query`."""
        single = [(ANY, "")]
        single += [(SERVICE, self._service)] if self._service else []
        single += [(NAME, self._operation)] if self._operation else []
        single += [(KIND, str(self._kind))] if self._kind is not None else []
        single += [(SCOPE, self._scope)] if self._scope is not None else []
        single += [(VERSION, self._version)] if self._version is not None else []
        single += [(RESOURCE + key, text) for key, text in self._resource.items()]
        single += self._plain.items()
        found: list[tuple[int, ...]] = [(token(seed, key, text),) for key, text in single]
        if len(self._statuses) < len(_STATUSES):
            found.append(tuple(token(seed, STATUS, str(code)) for code in self._statuses))
        return tuple(found)

    def matches(self, context: Context, span: Span) -> bool:
        """See `Query`."""
        return (
            self._service in ("", service_of(context))
            and self._operation in ("", span.name)
            and min(max(span.status_code, 0), _ERROR) in self._statuses
            and self._kind in (None, span.kind)
            and self._scope in (None, context.scope_name)
            and self._version in (None, context.scope_version)
            and all(has(context.resource_attributes, *pair) for pair in self._resource.items())
            and all(says(context, span, *pair) for pair in self._plain.items())
        )


def _statuses(pairs: dict[str, str]) -> frozenset[int]:
    """The status codes that are looked for; takes their keys out of `pairs`."""
    found = frozenset(range(len(_STATUSES)))
    if (text := pairs.pop("error", None)) is not None:
        if text.lower() not in _TRUE | _FALSE:
            raise BadInput(f"error: expected true or false, not {text[:80]!r}")
        found &= {_ERROR} if text.lower() in _TRUE else found - {_ERROR}
    if (text := pairs.pop("span.status", None)) is not None:
        found &= {_number(_STATUSES, text)}
    return found


def _number(words: tuple[str, ...], word: str) -> int:
    return words.index(word.lower()) if word.lower() in words else 0

"""Spans that OTLP can carry: text as UTF-8, whole numbers of 64 bits.

Python's texts may hold lone surrogates, as names of files that are no UTF-8 have them, and its
numbers any size. OpenTelemetry's encoder leaves such an attribute out, with a traceback for each,
and cannot encode a span of such a name at all: a failed attempt would lose its message, or itself.
Both are written out instead. A span that has none of them, as nearly all have, is passed on as it
is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

_INT64: Final = 1 << 63
_PLAIN: Final = frozenset({float, bytes, type(None)})
_DEPTH: Final = 8


def encodable(span: ReadableSpan) -> ReadableSpan:
    """The span, or a copy in which all texts and numbers can be encoded."""
    fits = (
        _fits(span.name) and _fits(span.status.description) and _all_fit(span.attributes)
        and all(_fits(event.name) and _all_fit(event.attributes) for event in span.events)
        and all(_all_fit(link.attributes) for link in span.links)
    )  # fmt: skip
    return span if fits else _copy(span)


def _all_fit(attributes: Mapping[str, Any] | None) -> bool:
    if not attributes:
        return True
    # OpenTelemetry's own mapping takes a lock for each look: a copy takes it once.
    said: Mapping[str, Any] = attributes.copy() if hasattr(attributes, "copy") else attributes
    return all(map(_fits, said)) and all(map(_fits, said.values()))


def fitting(value: Any) -> Any:
    """A value that can be encoded: the same, or what stands for it."""
    if _fits(value):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Mapping):
        return {fitting(key): fitting(item) for key, item in value.items()}
    return [fitting(item) for item in value]


def _fits(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    if isinstance(value, int):
        return -_INT64 <= value < _INT64
    if type(value) in _PLAIN or depth >= _DEPTH:  # none deeper is let pass by OpenTelemetry
        return True
    if isinstance(value, Mapping):
        return all(_fits(key) and _fits(item, depth + 1) for key, item in value.items())
    return not isinstance(value, Sequence) or all(_fits(item, depth + 1) for item in value)


def _copy(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        fitting(span.name), span.context, span.parent, span.resource,
        _attributes(span.attributes, span.dropped_attributes),
        _parts(span.dropped_events, [
            Event(fitting(event.name), _attributes(event.attributes, event.dropped_attributes),
                  event.timestamp)
            for event in span.events
        ]),
        _parts(span.dropped_links, [
            Link(link.context, _attributes(link.attributes, link.dropped_attributes))
            for link in span.links
        ]),
        span.kind,
        status=Status(span.status.status_code, fitting(span.status.description)),
        start_time=span.start_time, end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )  # fmt: skip


def _parts(dropped: int, found: Sequence[Any]) -> "BoundedList[Any]":
    """Events or links, with how many there were beyond them."""
    copied: BoundedList[Any] = BoundedList.from_seq(None, found)
    copied.dropped = dropped
    return copied


def _attributes(found: Mapping[str, Any] | None, dropped: int) -> BoundedAttributes:
    copied = BoundedAttributes(attributes=fitting(dict(found or {})), immutable=False)
    copied.dropped = dropped
    return copied

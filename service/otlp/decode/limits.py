"""The sizes an event may have, and cutting what is larger.

Strings (keys and byte values too) are cut at `max_string_bytes` on a UTF-8 boundary; surplus
attributes, span events and links are cut and added to the dropped counts: what gives identity
and tells the outcome stays (`kept`), of the rest the first ones. Lists are cut by the decoders,
before their items are decoded (`Limits.attributes`, `events`, `links`). Maps inside a value hold
as many keys as attributes may be, and values nested deeper than `MAX_DEPTH` become nil. What was
cut is named in the event's `cut` field.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from events.schema import Attributes, Context, LogRecord, Span, SpanEvent, SpanLink
from service.configuration.settings import Settings
from service.otlp.decode.kept import Kept

STRING: Final = "string"
ATTRIBUTE: Final = "attribute"
SPAN_EVENT: Final = "event"
LINK: Final = "link"
DEPTH: Final = "depth"

MAX_DEPTH: Final = 16
"""Levels of arrays and maps inside one attribute value or log body."""

COUNT_LIMIT: Final = (1 << 32) - 1
"""Dropped counts are uint32 on the wire."""

Cuts = Counter[str]
_SCALARS: Final = frozenset({int, float, bool, type(None)})
_KEPT: Final = Kept()


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one event."""

    max_string_bytes: int = 64 << 10
    max_attributes: int = 256
    max_span_events: int = 256
    max_links: int = 256
    kept: Kept = _KEPT

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """The limits that `settings` ask for."""
        return cls(
            settings.max_string_bytes,
            settings.max_attributes,
            settings.max_span_events,
            settings.max_links,
        )

    def attributes(self, pairs: Sequence[Any], cuts: Cuts) -> Sequence[Any]:
        """Those of `pairs` (with `key` and `value`) that stay.

        Where there are too many, each key comes once: with its last value, at its first place.
        """
        if len(pairs) <= self.max_attributes:
            return pairs
        last = {pair.key or "": place for place, pair in enumerate(pairs)}
        places = list(last.values())
        surplus = len(last) - self.max_attributes
        if surplus > 0:
            cuts[ATTRIBUTE] += surplus
            chosen = self.kept.attributes(list(last), self.max_attributes)
            places = [places[place] for place in chosen]
        return [pairs[place] for place in places]

    def events(self, events: Sequence[Any], cuts: Cuts) -> Sequence[Any]:
        """Those of a span's `events` (with `name`) that stay."""
        surplus = len(events) - self.max_span_events
        if surplus <= 0:
            return events
        cuts[SPAN_EVENT] += surplus
        named = [event.name or "" for event in events]
        return [events[place] for place in self.kept.span_events(named, self.max_span_events)]

    def links(self, links: Sequence[Any], cuts: Cuts) -> Sequence[Any]:
        """Those of a span's `links` that stay."""
        surplus = len(links) - self.max_links
        if surplus <= 0:
            return links
        cuts[LINK] += surplus
        return links[: self.max_links]

    def span(self, span: Span, cuts: Cuts) -> Span:
        """`span` with its strings within the limits; what was cut is added to `cuts`."""
        attributes, dropped = self.strings(span.attributes, span.dropped_attributes_count, cuts)
        return msgspec.structs.replace(
            span,
            trace_state=self.text(span.trace_state, cuts),
            name=self.text(span.name, cuts),
            attributes=attributes,
            dropped_attributes_count=dropped,
            events=[self._event(event, cuts) for event in span.events],
            links=[self._link(link, cuts) for link in span.links],
            status_message=self.text(span.status_message, cuts),
            cut=tuple(sorted(cuts)),
        )

    def log(self, record: LogRecord, cuts: Cuts) -> LogRecord:
        """`record` with its strings within the limits; what was cut is added to `cuts`."""
        attributes, dropped = self.strings(record.attributes, record.dropped_attributes_count, cuts)
        return msgspec.structs.replace(
            record,
            severity_text=self.text(record.severity_text, cuts),
            body=self._value(record.body, cuts),
            attributes=attributes,
            dropped_attributes_count=dropped,
            event_name=self.text(record.event_name, cuts),
            cut=tuple(sorted(cuts)),
        )

    def context(self, context: Context, cuts: Cuts) -> Context:
        """`context` with its strings within the limits; what was cut is added to `cuts`."""
        resource, resource_dropped = self.strings(
            context.resource_attributes, context.resource_dropped_attributes_count, cuts
        )
        scope, scope_dropped = self.strings(
            context.scope_attributes, context.scope_dropped_attributes_count, cuts
        )
        return msgspec.structs.replace(
            context,
            resource_attributes=resource,
            resource_dropped_attributes_count=resource_dropped,
            resource_schema_url=self.text(context.resource_schema_url, cuts),
            scope_name=self.text(context.scope_name, cuts),
            scope_version=self.text(context.scope_version, cuts),
            scope_attributes=scope,
            scope_dropped_attributes_count=scope_dropped,
            scope_schema_url=self.text(context.scope_schema_url, cuts),
            cut=tuple(sorted(cuts)),
        )

    def text(self, text: str, cuts: Cuts) -> str:
        """`text` cut to `max_string_bytes` of UTF-8, never inside a character."""
        limit = self.max_string_bytes
        if len(text) * 4 <= limit:
            return text
        encoded = text.encode()
        if len(encoded) <= limit:
            return text
        cuts[STRING] += 1
        return encoded[:limit].decode(errors="ignore")

    def _event(self, event: SpanEvent, cuts: Cuts) -> SpanEvent:
        attributes, dropped = self.strings(event.attributes, event.dropped_attributes_count, cuts)
        return SpanEvent(event.time_ns, self.text(event.name, cuts), attributes, dropped)

    def _link(self, link: SpanLink, cuts: Cuts) -> SpanLink:
        attributes, dropped = self.strings(link.attributes, link.dropped_attributes_count, cuts)
        return msgspec.structs.replace(
            link,
            trace_state=self.text(link.trace_state, cuts),
            attributes=attributes,
            dropped_attributes_count=dropped,
        )

    def strings(self, attributes: Attributes, dropped: int, cuts: Cuts) -> tuple[Attributes, int]:
        """`attributes` with their strings cut, and the dropped count: two keys may become one."""
        kept = {self.text(key, cuts): self._value(value, cuts) for key, value in attributes.items()}
        return kept, add_dropped(dropped, len(attributes) - len(kept))

    def _value(self, value: Any, cuts: Cuts) -> Any:
        if isinstance(value, str):
            return self.text(value, cuts)
        if isinstance(value, bytes):
            if len(value) > self.max_string_bytes:
                cuts[STRING] += 1
            return value[: self.max_string_bytes]
        if isinstance(value, list):
            return [
                item if item.__class__ in _SCALARS else self._value(item, cuts) for item in value
            ]
        if isinstance(value, dict):
            return {self.text(key, cuts): self._value(item, cuts) for key, item in value.items()}
        return value


def add_dropped(dropped: int, more: int) -> int:
    """A dropped count and what was dropped here; it stays a uint32."""
    return min(dropped + more, COUNT_LIMIT)


def strings_of(value: Any, add: Callable[[str], None]) -> None:
    """Give every string value inside `value` to `add`, in order; keys are left out."""
    if isinstance(value, str):
        add(value)
    elif isinstance(value, list):
        for item in value:
            if item.__class__ not in _SCALARS:  # a call for each of very many would add up
                strings_of(item, add)
    elif isinstance(value, dict):
        for item in value.values():
            strings_of(item, add)


def span_strings(span: Span) -> list[str]:
    """Every scrubbable string of a span, in the order of `Group.text`."""
    strings = [span.name]
    add = strings.append
    strings_of(span.attributes, add)
    for event in span.events:
        add(event.name)
        if event.attributes:
            strings_of(event.attributes, add)
    for link in span.links:
        if link.attributes:
            strings_of(link.attributes, add)
    add(span.status_message)
    return strings


def log_strings(record: LogRecord) -> list[str]:
    """Every scrubbable string of a log record, in the order of `Group.text`."""
    strings: list[str] = []
    add = strings.append
    strings_of(record.body, add)
    if record.attributes:
        strings_of(record.attributes, add)
    add(record.severity_text)
    add(record.event_name)
    return strings

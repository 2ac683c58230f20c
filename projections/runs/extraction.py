"""From rows of the log to facts: what the `task.*` attributes say.

This is the seam at which mapping rules for other orchestrators take over: `Extractor.extract`
turns a page into facts by run, and nothing behind it knows where they came from.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec

from events import codec, names
from events.abandonment import Abandonment, abandonment_of
from events.bounded import ENTRY_BYTES, BoundedDict, text_bytes
from events.codec import is_tagged
from events.identity import ID_BYTES
from events.log.port import Page, Segment
from events.schema import RawBlock
from projections.mapping.observe.observation import Origin as ObservedAt
from projections.mapping.observe.observer import NATIVE as NATIVE_RULE
from projections.mapping.observe.running import SCOPE_MARK, as_running
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.ruleset import RuleSet
from projections.runs import words
from projections.runs.extracted import Extracted, Loose, Origin
from projections.runs.facts import FACT_ID, AbandonFact, LogFact, LogKind, RunFacts, SpanFact
from projections.runs.failing import error_no, told_by_log, told_by_span
from projections.runs.mapped.mapper import Mapper
from projections.runs.more import more_of
from projections.runs.registry.numbers import Registry
from projections.runs.rereading import segments_of
from projections.runs.rows import (
    LOG_MARK,
    SPAN_MARK,
    LogRow,
    SpanRow,
    TaskAttributes,
    decode_context,
    decode_log,
    decode_span,
    exception_of,
    kind_of,
    matters,
)
from projections.runs.times import parse_ns
from projections.runs.values import (
    STATUS_ERROR,
    environment_of,
    fraction_of,
    number_of,
    status_of,
    text_of,
)
from projections.storage.deadletters import Poison

PRODUCER: Final = 4
RUNS_AT_ONCE: Final = 2_048
PLACES_BYTES: Final = 8 << 20
SOURCES_BYTES: Final = 16 << 20  # over all places
LOOSE_BYTES: Final = 8 << 20
"""Of log records that may belong to the span of a task: they mostly come shortly before it."""
_HELD_BYTES: Final = 200  # what is kept beside the row
NATIVE: Final = NATIVE_RULE, f"{NATIVE_RULE}@1"
"""System and rule of what names its task itself."""


class Place(NamedTuple):
    """What a resource says of where its spans ran, and the sources met there."""

    instance: str | None
    host: str | None
    component: str | None
    environment: str | None
    sources: dict[tuple[Any, ...], int]


_Held = tuple[str, int, Place, bytes, bytes]
"""Tenant, its number, place, event id and row of a log record that may be needed again."""


class Extractor:
    """Reads pages; keeps what repeats between them."""

    def __init__(self, registry: Registry, rules: Callable[[], RuleSet] = builtin_rules) -> None:
        self._registry = registry
        self._mapper = Mapper(registry, rules)
        self._places: BoundedDict[tuple[int, bytes], Place] = BoundedDict(PLACES_BYTES)
        self._sources_bytes = 0  # kept, at most; over all places
        self._loose: BoundedDict[Origin, _Held] = BoundedDict(LOOSE_BYTES)

    def extract(self, page: Page) -> Iterator[Extracted]:
        """The facts of a page, in parts that the processor's cache holds."""
        recall = partial(self.recall, page)
        found = Extracted({}, [], recall, {})
        for segment in page.segments:
            position = segment.first
            for block in segment.raw_blocks():
                self._extract_block(page, segment, position, block, found)
                position += len(block.events)
            if len(found.runs) >= RUNS_AT_ONCE:
                yield found
                found = Extracted({}, [], recall, {})
        yield found

    def _extract_block(
        self, page: Page, segment: Segment, start: int, block: RawBlock, found: Extracted
    ) -> None:
        at: _At | None = None
        ids, first, after, through = segment.ids, segment.first, page.after, page.through
        looking = self._mapper.looking(bytes(block.context), segment)
        for position, raw in enumerate(block.events, start):
            row = bytes(raw)
            tells = matters(row)
            wanted = looking is not None and looking.wants(row, tells)
            if not (tells or wanted) or not after < position <= through:
                continue
            if at is None:
                at = self._at(block, page.partition)
            offset = (position - first) * ID_BYTES
            at.event_id = ids[offset : offset + ID_BYTES]
            at.position = position
            try:
                taken = wanted and looking is not None and looking.takes(row, at.origin)
                if tells and not taken and SCOPE_MARK in row and is_tagged(row, LOG_MARK):
                    taken = self._mapper.announce(row, bytes(block.context), at.origin, found)
                if tells and not taken:
                    self._tell(row, at, found)
            except (msgspec.DecodeError, ValueError, TypeError, ArithmeticError) as error:
                raise Poison(position, "facts", error) from error
        if looking is not None and looking.found:
            self._mapper.place(looking.found, found)

    def _tell(self, row: bytes, at: "_At", found: Extracted) -> None:
        """What a row says itself of a task."""
        if is_tagged(row, SPAN_MARK):
            self._span(row, at, found)
        elif is_tagged(row, LOG_MARK):
            self._log(row, at, found)
        elif lost := abandonment_of(codec.decode_event(row)):
            self._abandoned(lost, at, found)  # any other event is not for here

    def _place(self, tenant_no: int, context: bytes) -> Place:
        place = self._places.get((tenant_no, context))
        if place is None:
            resource = decode_context(context).resource_attributes
            place = Place(
                text_of(resource.get(names.SERVICE_INSTANCE_ID)),
                text_of(resource.get(names.HOST_NAME)),
                text_of(resource.get(names.SERVICE_NAME)),
                environment_of(resource),
                {},
            )
            self._places.keep((tenant_no, context), place, 2 * text_bytes(context))
        return place

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write what was kept until the page's end."""
        self._mapper.flush(connection)

    def forget(self) -> None:
        """Drop what is kept in memory."""
        self._mapper.forget()
        self._places.clear()
        self._loose.clear()
        self._sources_bytes = 0

    def recall(self, page: Page, origins: Iterable[Origin]) -> list[LogFact]:
        """The facts of log records that name a span but no task, of this page or earlier ones.

        Raises:
            Unavailable: one must be read again, and the log cannot be read.
        """
        facts: list[LogFact] = []
        missing: list[Origin] = []
        for origin in sorted(origins):
            held = self._loose.get(origin)
            if held is None:
                missing.append(origin)
            else:
                at = _At(*held[:3], origin[0])
                at.event_id, at.position = held[3], origin[1]
                facts.append(self._loose_fact(held[4], at))
        for segment, positions in segments_of(page.log, missing):
            first = segment.first
            for block in segment.raw_blocks():
                for position in (p for p in positions if 0 <= p - first < len(block.events)):
                    at = self._at(block, segment.partition)
                    at.event_id, at.position = segment.event_id(position), position
                    facts.append(self._loose_fact(bytes(block.events[position - first]), at))
                first += len(block.events)
        return facts

    def _loose_fact(self, data: bytes, at: "_At") -> LogFact:
        row = decode_log(data)
        kind = kind_of(row)
        assert kind is not None
        return self._log_fact(row, kind, data, at)

    def _at(self, block: RawBlock, partition: int) -> "_At":
        tenant_no = self._registry.tenant_no(block.tenant)
        place = self._place(tenant_no, bytes(block.context))
        return _At(block.tenant, tenant_no, place, partition)

    def _span(self, data: bytes, at: "_At", found: Extracted) -> None:
        row = decode_span(as_running(data))
        said = row.attributes
        task_id, name, run_id = said.id, said.name, said.run_id
        if type(task_id) is not str or not task_id:
            task_id = text_of(task_id)
            if task_id is None:
                return
        if row.status_code != STATUS_ERROR and said.result is None and row.end_ns:
            status, error, number_of_error, message_no = words.COMPLETED, 0, None, None
        else:
            status, error, number_of_error, message_no = self._outcome(row, data, at)
        number = None if said.attempt is None else number_of(said.attempt)
        fact = SpanFact(
            at.event_id[FACT_ID],
            row.trace_id,
            row.span_id,
            at.position,
            row.start_ns,
            0 if status == words.RUNNING else row.end_ns,
            self._source_no(said, at),
            number,
            None if said.max_attempts is None else number_of(said.max_attempts) or None,
            name if type(name) is str and name else text_of(name),
            more_of(said),
            row.parent_span_id,
            status,
            error,
            number_of_error,
            message_no,
            None if said.group_id is None else text_of(said.group_id),
            None if said.queued_at is None else parse_ns(said.queued_at),
            row.kind == PRODUCER and number is None,
            at.partition,
        )  # by place: keywords would cost 3 µs
        if type(run_id) is not str or not run_id:
            run_id = text_of(run_id) or row.trace_id.hex()
        key = (at.tenant_no, task_id, run_id)
        facts = found.runs.get(key)
        if facts is None:
            found.runs[key] = RunFacts([fact], [], [])
        else:
            facts.spans.append(fact)

    def _outcome(
        self, row: SpanRow, data: bytes, at: "_At"
    ) -> tuple[int, int, int | None, int | None]:
        """Status, where the error was found, which it is, and its message."""
        said = row.attributes
        status = status_of(said.result)
        if status is None:
            if row.status_code == STATUS_ERROR:
                status = words.FAILED
            else:  # a word that nobody knows is no success
                status = words.UNKNOWN if text_of(said.result) else words.COMPLETED
        if row.end_ns == 0:
            status = words.RUNNING
        elif status in (words.COMPLETED, words.SKIPPED):
            return status, 0, None, None
        exception = exception_of(row)
        if exception is None:
            message = row.status_message
            type_, stack, found = text_of(said.error_type), "", 1
        else:
            type_ = text_of(exception.exception_type) or text_of(said.error_type)
            message = text_of(exception.exception_message) or row.status_message
            stack, found = text_of(exception.exception_stack) or "", 2
        if status == words.RUNNING and exception is None:
            return status, 0, None, None
        text = type_, message, stack
        number = error_no(self._registry, at.tenant_no, status, text, told_by_span(data))
        return status, found, number, self._message_no(message, at)

    def _message_no(self, message: str, at: "_At") -> int | None:
        return self._registry.message_no(at.partition, at.position, message) if message else None

    def _source_no(self, said: TaskAttributes, at: "_At") -> int:
        parts = (said.executor_id, said.queue, said.tool, said.model, said.planner)
        try:
            number = at.place.sources.get(parts)
        except TypeError:  # a list or map as an attribute
            number = None
        if number is not None:
            return number
        executor, queue, tool, model, planner = map(text_of, parts)
        place = at.place
        executor = executor or tool or model or place.instance or place.host
        where = executor, queue, tool, model, planner, place.host, place.component
        number = self._registry.source_no(at.tenant_no, (*where, place.environment, *NATIVE))
        # Only texts: 1, 1.0 and True are one key of a dictionary, but not one text.
        if all(part is None or type(part) is str for part in parts):
            self._sources_bytes += text_bytes(*parts) + ENTRY_BYTES
            if self._sources_bytes > SOURCES_BYTES:
                self._forget_sources()
            place.sources[parts] = number
        return number

    def _forget_sources(self) -> None:
        for place in self._places.values():
            place.sources.clear()
        self._sources_bytes = 0

    def _log(self, data: bytes, at: "_At", found: Extracted) -> None:
        row = decode_log(data)
        kind = kind_of(row)
        if kind is None:
            return
        said = row.attributes
        task_id = text_of(said.id)
        if task_id is not None:
            fact = self._log_fact(row, kind, data, at)
            key = at.tenant_no, task_id, text_of(said.run_id) or row.trace_id.hex()
            found.facts_of(key).logs.append(fact)
        elif row.trace_id and row.span_id:
            origin = at.partition, at.position
            held = at.tenant, at.tenant_no, at.place, at.event_id, data
            self._loose.keep(origin, held, len(data) + _HELD_BYTES)
            found.loose.append(Loose(at.tenant_no, row.trace_id, row.span_id, origin))

    def _log_fact(self, row: LogRow, kind: LogKind, data: bytes, at: "_At") -> LogFact:
        said = row.attributes
        status = status_of(said.result)
        number, message_no = self._log_error(said, data, status, kind, at)
        return LogFact(
            at.event_id[FACT_ID],
            at.partition,
            at.position,
            kind,
            text_of(said.id) is None,
            row.trace_id,
            row.span_id,
            row.time_ns or row.observed_ns,
            number_of(said.attempt),
            status,
            self._source_no(said, at),
            number,
            message_no,
            fraction_of(said.progress),
            text_of(said.name),
            text_of(said.group_id),
            parse_ns(said.queued_at),
            number_of(said.max_attempts) or None,
            more_of(said),
        )

    def _log_error(
        self, said: TaskAttributes, data: bytes, status: int | None, kind: LogKind, at: "_At"
    ) -> tuple[int | None, int | None]:
        type_ = text_of(said.exception_type) or text_of(said.error_type)
        message = text_of(said.exception_message) or ""
        if kind != LogKind.EXCEPTION and status not in words.FAILURES:
            return None, None
        stack = text_of(said.exception_stack) or ""
        status = words.FAILED if status is None else status
        text = type_, message, stack
        number = error_no(self._registry, at.tenant_no, status, text, told_by_log(data))
        return number, self._message_no(message, at)

    def _abandoned(self, lost: Abandonment, at: "_At", found: Extracted) -> None:
        number = lost.number
        if not number and not lost.span_id:  # an older release said it, and nothing else tells
            number = words.number_behind(lost.attempt_id, at.tenant, lost.task_id, lost.run_id)
        fact = AbandonFact(
            at.event_id[FACT_ID],
            lost.trace_id,
            lost.span_id,
            lost.time_ns,
            lost.last_heartbeat_ns,
            error_no(self._registry, at.tenant_no, words.ABANDONED, (None, "", "")),
            lost.last_heartbeat_id[FACT_ID],
            number,
            lost.signs,
        )
        found.facts_of((at.tenant_no, lost.task_id, lost.run_id)).abandoned.append(fact)


class _At:
    """Where the event being read stands and where it comes from."""

    __slots__ = ("event_id", "partition", "place", "position", "tenant", "tenant_no")

    def __init__(self, tenant: str, tenant_no: int, place: Place, partition: int) -> None:
        self.tenant = tenant
        self.tenant_no = tenant_no
        self.place = place
        self.partition = partition
        self.event_id = b""
        self.position = 0

    @property
    def origin(self) -> ObservedAt:
        return ObservedAt(self.tenant, self.event_id, self.partition, self.position)

"""The one way by which API, watcher, importers and CLI append: events → scrub → batch → door.

What comes by OTLP takes the same steps in its pipeline, many requests at a time; limits, scrubbing
and ids are the same code, so the same span is one event whichever way it came.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from events import codec, metrics
from events.errors import BadInput
from events.identity import Identity
from events.log.port import Appended, Batch, Door
from events.schema import Context, Fact, LogRecord, Span
from service.append.facts import Conflict
from service.configuration.settings import Settings
from service.otlp.batch import BatchBuilder
from service.otlp.decode.assembly import Assembly
from service.otlp.decode.decoded import Decoded, Group
from service.otlp.decode.limits import Limits, strings_of
from service.otlp.scrub.scrubber import Scrubber
from service.otlp.scrub.secret_keys import MARK

TIMEOUT_S: Final = 30.0
SIGNAL: Final = "own"
"""What the metrics call events that did not come by OTLP."""
_NO_CONTEXT: Final = Context()


@dataclass(frozen=True, slots=True)
class Entry:
    """Events to append for a tenant, with the resource and scope that telemetry has."""

    tenant: str
    events: Sequence[Span | LogRecord | Fact]
    context: Context = _NO_CONTEXT


@dataclass(frozen=True, slots=True)
class Receipt:
    """One durable fact: its id, and where it stands."""

    event_id: bytes
    position: int


class Appender:
    """Appends to the log of `settings.data`. Safe for any number of threads.

    Args:
        open_door: opens the append door, when it is needed first.
        clock: now, in nanoseconds since 1970: the arrival of what is appended.
    """

    def __init__(
        self,
        settings: Settings,
        open_door: Callable[[], Door],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._open_door = open_door
        self._clock = clock
        self._limits = Limits.of(settings)
        self._scrubber = Scrubber.of(settings)
        self._lock = threading.Lock()  # a scrubber belongs to one thread
        self._door: Door | None = None

    def record(self, tenant: str, fact: Fact) -> Receipt:
        """Append one fact; a fact with a key that was sent before is the one that is there.

        Raises:
            Conflict: the one that is there says something else.
            Unavailable: as `append_all`.
        """
        batch, appended = self._committed([Entry(tenant, [fact])])
        if appended.conflicts:
            raise Conflict(fact.idempotency_key, appended.positions[0])
        return Receipt(batch.ids, appended.positions[0])

    def append(self, tenant: str, *events: Span | LogRecord | Fact) -> Appended:
        """Append events of one tenant, as `append_all`."""
        return self.append_all([Entry(tenant, events)])

    def append_all(self, entries: Sequence[Entry]) -> Appended:
        """Append all events in one commit; returns after it, with the position of each.

        Where two have one idempotency key, the first stays: it counts as a duplicate, and as a
        conflict if the second says something else.

        Raises:
            BadInput: an event breaks a bound; nothing was appended.
            Unavailable: nothing was appended, or nobody knows: the same events may be sent again.
        """
        return self._committed(entries)[1]

    def _committed(self, entries: Sequence[Entry]) -> tuple[Batch, Appended]:
        with self._lock:
            door = self._door = self._door or self._open_door()
            batch = self._batch(door, entries)
        appended = door.append(batch, timeout_s=TIMEOUT_S)
        metrics.EVENTS.labels(SIGNAL).inc(appended.stored)
        return batch, appended

    def _batch(self, door: Door, entries: Sequence[Entry]) -> Batch:
        now_ns = self._clock()
        builder = BatchBuilder(Identity(door.identity_key), self._scrubber)
        parts = [(e.tenant, now_ns, part) for e in entries for part in self._parts(e, now_ns)]
        batch = builder.build(parts)
        if batch is None:
            raise BadInput("there is no event to append")
        return replace(batch, located=True)

    def _parts(self, entry: Entry, now_ns: int) -> list[Decoded]:
        """The events of an entry as decoders hand them on, in their order."""
        parts: list[Decoded] = []
        telemetry: list[Span | LogRecord] = []
        for event in entry.events:
            if isinstance(event, Fact):
                parts += self._assembled(entry.context, telemetry)
                telemetry = []
                parts.append(Decoded([_group_of(event, now_ns)], 1, 0, [], {}))
            else:
                telemetry.append(event)
        return parts + self._assembled(entry.context, telemetry)

    def _assembled(self, context: Context, events: Sequence[Span | LogRecord]) -> list[Decoded]:
        if not events:
            return []
        assembly = Assembly(self._limits)
        assembly.open(context, Counter())
        for event in events:
            if isinstance(event, Span):
                assembly.add_span(event, None, Counter())
            else:
                assembly.add_log(event, Counter())
        assembly.close()
        decoded = assembly.finish()
        if decoded.refused:
            raise BadInput("; ".join(decoded.reasons))
        return [decoded]

    def close(self) -> None:
        """Hang up; may be called twice."""
        with self._lock:
            door, self._door = self._door, None
        close = getattr(door, "close", None)
        if close is not None:
            close()


def _group_of(fact: Fact, now_ns: int) -> Group:
    strings: list[str] = []
    strings_of(fact.payload, strings.append)
    # The mark has every key looked at: facts are few, and nobody knows their keys beforehand.
    text = "\0".join([*strings, MARK, ""]).encode()
    time_ns = fact.time_ns or now_ns
    row = codec.encode_event(fact)
    return Group(
        codec.encode_context(_NO_CONTEXT), [row], text, [len(text)], time_ns, time_ns, keyed=True
    )

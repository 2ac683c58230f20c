"""All tries of a run under one trace id, for targets with `traces=by-run`.

An event is held back until the views have passed it, at most for `patience_s`; then it goes as
far as they know. A span that leaves its own trace keeps that one's id as an attribute and as a
link. What of a trace was sent before it was known where it belongs, mostly children, which end
before their try does, is sent once more, to its run: so one trace is whole, and the other holds
some of it too.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from events import names
from events.bounded import BoundedDict
from events.log.port import Recorded
from events.schema import LogRecord, Span, SpanLink
from projections.stable_traces import Home, StableTraces
from service.forward.cursor import Place

log = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0
_SAMPLE_EVERY_S: Final = 0.5
_REMEMBERED_BYTES: Final = 16 << 20
_TURN_BYTES: Final = 8 << 20


class ByRun:
    """Moves events to the stable trace of their run; used by one sender's thread."""

    def __init__(
        self,
        traces: StableTraces,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._traces = traces
        self._patience_s = patience_s
        self._clock = clock
        self._heads: deque[tuple[float, int]] = deque()
        self._overdue = 0
        self._told = False
        self._gathered: BoundedDict[tuple[str, bytes], bytes] = BoundedDict(_REMEMBERED_BYTES)

    def through(self, place: Place, head: int) -> int:
        """How far events after `place` may be sent now: what the views have passed, or what has
        waited long enough. They follow partition 0; others are sent as they come."""
        if place.partition or place.position >= head:
            return head
        self._sample(head)
        seen = self._traces.seen()
        if self._overdue > max(seen, place.position):
            if not self._told:
                log.warning(
                    "the views are behind: spans are forwarded without waiting for them",
                    extra={"action": "forward_unseen", "seen": seen, "head": head},
                )
            self._told = True
        elif seen >= head:
            self._told = False
        return min(head, max(seen, self._overdue))

    def turn(self, after: int) -> "Turn":
        """For the events after a position of partition 0 that are read now; of what lies before
        it, what belongs to their runs is gathered."""
        return Turn(self._traces, self._gathered, after)

    def close(self) -> None:
        """Close the views."""
        self._traces.close()

    def _sample(self, head: int) -> None:
        """Note when the head was where, and see what has waited long enough."""
        now_s = self._clock()
        last_s, last = self._heads[-1] if self._heads else (-_SAMPLE_EVERY_S, self._overdue)
        if head < last:  # another log
            self._heads.clear()
            self._overdue = 0
        if head != last and (not self._heads or now_s - last_s >= _SAMPLE_EVERY_S):
            self._heads.append((now_s, head))
        while self._heads and now_s - self._heads[0][0] >= self._patience_s:
            _, self._overdue = self._heads.popleft()


class Turn:
    """Where traces go, each asked once, so that a turn's events of one trace stay together."""

    def __init__(
        self,
        traces: StableTraces,
        gathered: BoundedDict[tuple[str, bytes], bytes],
        after: int,
    ) -> None:
        self._traces = traces
        self._gathered = gathered
        self._position = after
        self._homes: BoundedDict[tuple[str, bytes], Home] = BoundedDict(_TURN_BYTES)

    def moved(self, tenant: str, event: Any) -> Any:
        """The event as it is to be sent."""
        if not self._can_move(event):
            return event
        stable = self._home(tenant, event.trace_id).trace_id
        if stable == event.trace_id:
            return event
        original = event.trace_id.hex()
        changes: dict[str, Any] = {
            "trace_id": stable,
            "attributes": event.attributes | {names.ORIGINAL_TRACE_ID: original},
        }
        if isinstance(event, Span):
            link = SpanLink(event.trace_id, event.span_id, "", {}, 0, event.flags)
            changes["links"] = [*event.links, link]
        return msgspec.structs.replace(event, **changes)

    def left_behind(self, tenant: str, event: Any) -> Iterator[list[Recorded]]:
        """Events before this turn that belong where this one's run is, a trace at a time.

        A trace counts as gathered once the next is asked for: then it was sent.
        """
        if not self._can_move(event):
            return
        if (tenant, event.trace_id) in self._homes:  # looked at with an event before
            return
        own = self._home(tenant, event.trace_id)
        for trace_id in (event.trace_id, *own.relatives):
            stable = self._home(tenant, trace_id).trace_id
            if stable != trace_id and self._gathered.get((tenant, trace_id)) != stable:
                if self._position:  # else nothing was sent before
                    yield self._traces.before(tenant, trace_id, self._position)
                self._gathered.keep((tenant, trace_id), stable, len(tenant) + 32)

    def _can_move(self, event: Any) -> bool:
        return isinstance(event, Span | LogRecord) and bool(event.trace_id)

    def _home(self, tenant: str, trace_id: bytes) -> Home:
        home = self._homes.get((tenant, trace_id))
        if home is None:
            home = self._traces.home(tenant, trace_id)
            size_bytes = len(tenant) + 16 * (2 + len(home.relatives))
            self._homes.keep((tenant, trace_id), home, size_bytes)
        return home

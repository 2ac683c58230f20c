"""Reading the log into windows: as many events as one request may carry, ready to be sent.

Left out are events that have no place in a target: signals it does not take, facts of our own,
snapshots without an end, and Logfire's pending placeholders, whose final span comes later. An
event that cannot be encoded is parked like one that a target refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from google.protobuf.message import EncodeError

from events import codec, names
from events.bounded import BoundedDict, text_bytes
from events.errors import LogDamaged
from events.log.follower import pages
from events.log.port import LogReader, Recorded, Segment
from events.schema import LogRecord, Span
from service.forward.by_run import ByRun, Turn
from service.forward.cursor import Parked, Place
from service.forward.encode import (
    Frame,
    Item,
    Signal,
    encode_frame,
    encode_record,
    encode_span,
)

LIMIT_BYTES: Final = 3 << 20
"""Most bytes of one window; a single larger event makes a window of its own."""

SCAN_LIMIT_EVENTS: Final = 50_000
"""Most events looked at for one window, so that a cursor moves on past what it leaves out."""

_PAGE_SEGMENTS: Final = 8
_PAGE_BYTES: Final = 8 << 20
FRAMES_BYTES: Final = 4 << 20


@dataclass(slots=True)
class Window:
    """Events after one place and up to another; `requests` are by tenant and signal."""

    place: Place
    through: Place
    requests: dict[tuple[str, Signal], list[Item]] = field(default_factory=dict)
    unsendable: list[Parked] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, tenant: str, signal: Signal, item: Item) -> None:
        self.requests.setdefault((tenant, signal), []).append(item)
        self.size_bytes += item.size_bytes


class WindowReader:
    """Cuts one log into windows for one target; encoded frames are kept between them."""

    def __init__(
        self,
        reader: LogReader,
        signals: tuple[Signal, ...],
        limit_bytes: int = LIMIT_BYTES,
        by_run: ByRun | None = None,
    ) -> None:
        self._reader = reader
        self._signals = signals
        self._limit_bytes = limit_bytes
        self._by_run = by_run
        self._frames: BoundedDict[tuple[Signal, bytes], Frame] = BoundedDict(FRAMES_BYTES)

    def new_windows(self, place: Place) -> Iterator[Window]:
        """Windows from `place` as far as may be sent now, mostly to the head; ends there.

        With `by_run`, windows that end where they begin may come in between: of events before
        `place`, which are sent once more.

        Raises:
            LogDamaged: a segment does not follow the one before, or is altered.
        """
        if self._by_run is None:
            yield from self._windows(place, None, None)
            return
        through = self._by_run.through(place, self._reader.head(place.partition).position)
        if through > place.position:
            after = 0 if place.partition else place.position
            yield from self._windows(place, through, self._by_run.turn(after))

    def windows(self, place: Place, through: int) -> Iterator[Window]:
        """Windows from `place` to `through`, to be sent once more; raises as `new_windows`."""
        return self._windows(place, through, self._by_run.turn(0) if self._by_run else None)

    def _windows(self, place: Place, through: int | None, turn: Turn | None) -> Iterator[Window]:
        window = Window(place, place)
        for at, tenant, context, row in self._rows(place, through):
            event = codec.decode_event(row)
            signal = self._signal(event)
            if signal:
                if turn:
                    for behind in turn.left_behind(tenant, event):
                        yield from self._again(window.place, behind, turn)
                    event = turn.moved(tenant, event)
                item = self._item(window, at, signal, context, event)
                if item and self._is_full(window, item):
                    yield window
                    window = Window(window.through, window.through)
                if item:
                    window.add(tenant, signal, item)
            window.through = at
            if at.position - window.place.position >= SCAN_LIMIT_EVENTS:
                yield window
                window = Window(at, at)
        if window.through.position > window.place.position:
            yield window

    def _item(
        self, window: Window, at: Place, signal: Signal, context: bytes, event: Any
    ) -> Item | None:
        """The event encoded; None, and noted in the window, if that cannot be done."""
        try:
            return Item(at.position, self._frame(signal, context), _ENCODERS[signal](event))
        except _UNSENDABLE as exc:
            error = f"cannot be encoded: {type(exc).__name__}: {exc}"
            parked = Parked(at.partition, at.position, at.position, 1, False, error)
            window.unsendable.append(parked)
            return None

    def _again(self, place: Place, events: list[Recorded], turn: Turn) -> Iterator[Window]:
        """Windows that end at `place`, where they begin: of events that are behind it."""
        window = Window(place, place)
        for recorded in events:
            signal = self._signal(recorded.event)
            if not signal:
                continue
            at = place._replace(position=recorded.position)
            context = codec.encode_context(recorded.context)
            event = turn.moved(recorded.tenant, recorded.event)
            item = self._item(window, at, signal, context, event)
            window.unsendable.clear()  # it was parked when its own turn came
            if item and self._is_full(window, item):
                yield window
                window = Window(place, place)
            if item:
                window.add(recorded.tenant, signal, item)
        if window.requests:
            yield window

    def _is_full(self, window: Window, item: Item) -> bool:
        size_bytes = window.size_bytes + item.size_bytes
        return bool(window.size_bytes) and size_bytes > self._limit_bytes

    def _rows(
        self, place: Place, through: int | None
    ) -> Iterator[tuple[Place, str, bytes, msgspec.Raw]]:
        """Each event after `place` with its own place, tenant and context."""
        for page in pages(
            self._reader, place.position, partition=place.partition, through=through,
            limit_segments=_PAGE_SEGMENTS, limit_bytes=_PAGE_BYTES,
        ):  # fmt: skip
            for segment in page.segments:
                _check_follows(place, segment)
                position = segment.first - 1
                for block in segment.raw_blocks():
                    context = bytes(block.context)
                    for row in block.events:
                        position += 1
                        if page.after < position <= page.through:
                            place = place._replace(position=position, hash=segment.hash)
                            yield place, block.tenant, context, row

    def _signal(self, event: Any) -> Signal | None:
        """What the event is sent as; None if it is left out."""
        if isinstance(event, Span):
            pending = event.attributes.get(names.LOGFIRE_SPAN_TYPE) == names.LOGFIRE_PENDING
            wanted = "traces" in self._signals and event.end_ns != 0 and not pending
            return "traces" if wanted else None
        wanted = "logs" in self._signals and isinstance(event, LogRecord)
        return "logs" if wanted else None

    def _frame(self, signal: Signal, context: bytes) -> Frame:
        frame = self._frames.get((signal, context))
        if frame is None:
            frame = encode_frame(signal, codec.decode_context(context))
            self._frames.keep((signal, context), frame, 4 * text_bytes(context))
        return frame


_ENCODERS: Final[dict[Signal, Callable[[Any], bytes]]] = {
    "traces": encode_span,
    "logs": encode_record,
}

_UNSENDABLE: Final = (ValueError, TypeError, KeyError, RecursionError, EncodeError)
"""What the generated stubs raise for values that protobuf cannot hold."""


def _check_follows(place: Place, segment: Segment) -> None:
    """The segment holds `place` and has its hash, or comes right after it."""
    expected = segment.hash if place.position >= segment.first else segment.previous_hash
    if place.hash != expected:
        raise LogDamaged(
            f"the segment at position {segment.first} does not follow the one before it: the "
            "log's history was changed",
            position=segment.first,
        )

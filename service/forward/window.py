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
from events.log.port import LogReader, Segment
from events.schema import LogRecord, Span
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
        self, reader: LogReader, signals: tuple[Signal, ...], limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._reader = reader
        self._signals = signals
        self._limit_bytes = limit_bytes
        self._frames: BoundedDict[tuple[Signal, bytes], Frame] = BoundedDict(FRAMES_BYTES)

    def windows(self, place: Place, through: int | None = None) -> Iterator[Window]:
        """Windows from `place` to the head, or to `through`; ends there.

        Raises:
            LogDamaged: a segment does not follow the one before, or is altered.
        """
        window = Window(place, place)
        for at, tenant, context, row in self._rows(place, through):
            signal, event = self._select(row)
            if signal:
                try:
                    item = Item(at.position, self._frame(signal, context), _ENCODERS[signal](event))
                except _UNSENDABLE as exc:
                    error = f"cannot be encoded: {type(exc).__name__}: {exc}"
                    window.unsendable.append(
                        Parked(at.partition, at.position, at.position, 1, False, error)
                    )
                else:
                    if (
                        window.size_bytes
                        and window.size_bytes + item.size_bytes > self._limit_bytes
                    ):
                        yield window
                        window = Window(window.through, window.through)
                    window.add(tenant, signal, item)
            window.through = at
            if at.position - window.place.position >= SCAN_LIMIT_EVENTS:
                yield window
                window = Window(at, at)
        if window.through.position > window.place.position:
            yield window

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

    def _select(self, row: msgspec.Raw) -> tuple[Signal | None, Any]:
        """The event, and the signal it is sent as; None if it is left out."""
        event = codec.decode_event(row)
        if isinstance(event, Span):
            pending = event.attributes.get(names.LOGFIRE_SPAN_TYPE) == names.LOGFIRE_PENDING
            wanted = "traces" in self._signals and event.end_ns != 0 and not pending
            return "traces" if wanted else None, event
        wanted = "logs" in self._signals and isinstance(event, LogRecord)
        return "logs" if wanted else None, event

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

"""Segments that streams read lately: clients near the head share them, once decompressed."""

import threading
from typing import Final

from events.log.port import Page, Segment
from projections.query.log import Log

KEPT_BYTES: Final = 32 << 20
"""Most content that is kept; a segment that has more by itself is kept alone."""


class Recent:
    """Reads one segment at a time for any number of streams; for many threads."""

    def __init__(self, log: Log, kept_bytes: int = KEPT_BYTES) -> None:
        self._log = log
        self._kept_bytes = kept_bytes
        self._kept: dict[int, Segment] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def after(self, position: int) -> Page:
        """The events of the segment that holds the position after `position`.

        `page.through == position` at the head.
        """
        with self._lock:
            for segment in self._kept.values():
                if segment.first <= position + 1 <= segment.last:
                    return Page(segment.partition, position, segment.last, (segment,))
        with self._log.read() as reader:
            page = reader.read(0, position, limit_segments=1)
        for segment in page.segments:
            self._keep(segment)
        return page

    def _keep(self, segment: Segment) -> None:
        with self._lock:
            if segment.first in self._kept:
                return
            self._bytes += segment.content_bytes
            while self._kept and self._bytes > self._kept_bytes:
                self._bytes -= self._kept.pop(next(iter(self._kept))).content_bytes
            self._kept[segment.first] = segment

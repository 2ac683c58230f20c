"""How far a view is behind the log, and since when."""

import time
from collections.abc import Callable, Mapping

from events import metrics
from events.log.lag import behind
from events.log.port import LogReader, Page

SECOND_NS = 1_000_000_000


class Lag:
    """Watches one view; lag is the age of the oldest event that is not applied."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self.head = 0
        self.position = 0
        self._oldest_ns: int | None = None

    @property
    def events(self) -> int:
        return max(self.head - self.position, 0)

    @property
    def seconds(self) -> float:
        if not self.events or self._oldest_ns is None:
            return 0.0
        return max(self._clock() - self._oldest_ns, 0) / SECOND_NS

    def reading(self, page: Page, head: int) -> None:
        """A page was read and will be applied next."""
        self.head = head
        if page.segments:
            self._oldest_ns = page.segments[0].committed_ns

    def applied(self, position: int) -> None:
        """The view has come to `position`."""
        self.position = position

    def seconds_at(self, reader: LogReader, partition: int, position: int) -> float:
        """The lag of one that stands at `position`, which may be behind the view."""
        if position >= self.position:
            return self.seconds
        return behind(reader, {partition: position}).seconds(self._clock())

    def publish(
        self, reader: LogReader, positions: Mapping[str, int], parked: Mapping[str, int]
    ) -> None:
        """Set the gauges of projections, by where each stands in the first partition."""
        for name, position in positions.items():
            metrics.PROJECTION_LAG_EVENTS.labels(name).set(max(self.head - position, 0))
            seconds = self.seconds_at(reader, 0, position)
            metrics.PROJECTION_LAG_SECONDS.labels(name).set(seconds)
            metrics.DEAD_LETTERS.labels(name).set(parked.get(name, 0))

"""How far a view is behind the log, and since when."""

import time
from collections.abc import Callable, Sequence

from events import metrics
from events.log.port import Page

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

    def publish(self, names: Sequence[str], parked: dict[str, int]) -> None:
        """Set the gauges of these projections."""
        for name in names:
            metrics.PROJECTION_LAG_EVENTS.labels(name).set(self.events)
            metrics.PROJECTION_LAG_SECONDS.labels(name).set(self.seconds)
            metrics.DEAD_LETTERS.labels(name).set(parked.get(name, 0))

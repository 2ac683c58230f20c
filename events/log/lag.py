"""How far a reader of the log is behind its head, in events and in time."""

from collections.abc import Mapping
from typing import NamedTuple

from events.log.port import LogReader
from events.times import SECOND_NS


class Lag(NamedTuple):
    """What is not read yet: how many events, and when the oldest of them was committed."""

    events: int
    oldest_ns: int | None

    def seconds(self, now_ns: int) -> float:
        """Age of the oldest event not read; 0 if there is none, or a clock stepped back."""
        return 0.0 if self.oldest_ns is None else max(now_ns - self.oldest_ns, 0) / SECOND_NS


def behind(reader: LogReader, cursor: Mapping[int, int]) -> Lag:
    """The lag of `cursor` (position by partition); partitions that are gone count nothing.

    Reads one segment of each partition that is behind.
    """
    events, oldest_ns = 0, []
    for partition, position in cursor.items():
        if partition not in reader.partitions:
            continue
        missing = reader.head(partition).position - position
        if missing > 0:
            events += missing
            page = reader.read(partition, position, limit_segments=1)
            oldest_ns += [segment.committed_ns for segment in page.segments]
    return Lag(events, min(oldest_ns, default=None))

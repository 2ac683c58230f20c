"""Reading some earlier events of the log again, a segment at a time."""

from collections.abc import Iterator, Sequence

from events.errors import LogDamaged, Unavailable
from events.log.port import LogReader, Segment


def segments_of(
    log: LogReader | None, origins: Sequence[tuple[int, int]]
) -> Iterator[tuple[Segment, list[int]]]:
    """The segments that hold some events, each with the positions of those in it.

    `origins` are partitions and positions, ascending. A segment is read once.

    Raises:
        Unavailable: nobody told where the log is, or it cannot be read now.
        LogDamaged: the log ends before one of them.
    """
    if origins and log is None:
        raise Unavailable("an earlier log record is needed, and its log is not at hand")
    waiting = list(origins)
    while waiting and log is not None:
        partition, position = waiting[0]
        page = log.read(partition, position - 1, limit_segments=1)
        if not page.segments:
            raise LogDamaged(f"the log has no position {position} any more", position=position)
        segment = page.segments[0]
        held = [at for part, at in waiting if part == partition and at <= segment.last]
        del waiting[: len(held)]
        yield segment, held

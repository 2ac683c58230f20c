"""Following the log from a place on: once to its end, or for ever, also over restarts.

Two don't go this way. The projector feeds several files that stand at several places, in pages of
so many events, and does other work between two of them (`projections.engine.feeder`). The streams
of the API wait without a thread, share what they read lately, and skip what a slow client has
missed (`service.api.events`).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from events.errors import LogDamaged, Unavailable
from events.log.port import PAGE_BYTES, LogReader, Page
from events.log.reader import open_reader
from events.log.sqlite import FILE

POLL_S: Final = 0.2
_SEGMENTS: Final = 16


def pages(
    reader: LogReader,
    after: int,
    *,
    partition: int = 0,
    through: int | None = None,
    limit_segments: int = _SEGMENTS,
    limit_bytes: int = PAGE_BYTES,
) -> Iterator[Page]:
    """The pages after `after`, up to `through` or the head of the moment each is read.

    Each is bounded as in `LogReader.read`, so that memory holds one page however long the log is.
    """
    while True:
        page = reader.read(
            partition, after, through=through, limit_segments=limit_segments,
            limit_bytes=limit_bytes,
        )  # fmt: skip
        if page.count == 0:
            return
        yield page
        after = page.through


class Follower:
    """Follows the log of a data folder for ever. A service that stops only makes it wait.

    Args:
        reader: on the log now; the follower closes it.
        after: the position before the first event that is wanted.
        rest: waits so many seconds at the head.

    Raises, while iterating:
        LogDamaged: the file was exchanged for another log, or ends before what was read, or does
            not hold there what was read.
    """

    def __init__(
        self,
        data: Path,
        reader: LogReader,
        after: int,
        *,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        self._data = data
        self._reader = reader
        self._rest = rest
        self._file = self._identity()
        self._after = after
        self._hash = reader.hash_at(0, after)

    def __iter__(self) -> Iterator[Page]:
        while True:
            try:
                self._reopen_if_replaced()
                for page in pages(self._reader, self._after):
                    yield page
                    self._after, self._hash = page.through, page.segments[-1].hash
            except Unavailable:
                pass  # closed for a moment, or just being made again
            self._rest(POLL_S)

    def close(self) -> None:
        """Close the log; may be called twice."""
        self._reader.close()

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = (self._data / FILE).stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _reopen_if_replaced(self) -> None:
        now = self._identity()
        if now is None or now == self._file:
            return
        reader = open_reader(self._data)
        try:
            self._check(reader)
        except BaseException:
            reader.close()
            raise
        self._reader.close()
        self._reader, self._file = reader, now

    def _check(self, reader: LogReader) -> None:
        """See that a file which was put there goes on where this one was read to."""
        if reader.log_id != self._reader.log_id:
            raise LogDamaged(f"{FILE} was exchanged: it is log {reader.log_id} now")
        there = reader.hash_at(0, self._after)
        if there is None:
            raise LogDamaged(
                f"the log ends at position {reader.head().position}, before {self._after}, which "
                "was read already: an older copy was put back"
            )
        if self._hash is not None and there != self._hash:
            raise LogDamaged(
                f"{FILE} was exchanged: at position {self._after} it holds other events than were "
                "read",
                position=self._after,
            )

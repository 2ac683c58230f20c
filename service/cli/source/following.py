"""Reading the log from a place on, once to its end or for ever, also while the service restarts."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from events.errors import LogDamaged, Unavailable
from events.log.port import Page
from events.log.reader import SqliteReader, open_reader
from events.log.sqlite import FILE

POLL_S: Final = 0.2


def pages(reader: SqliteReader, after: int) -> Iterator[Page]:
    """The pages after `after`, up to the head of the moment they are read."""
    while True:
        page = reader.read(0, after, limit_segments=16)
        if page.count == 0:
            return
        yield page
        after = page.through


class Follower:
    """Follows one log for ever. A service that stops or restarts only makes it wait.

    Raises, while iterating:
        LogDamaged: the file was exchanged for another log, or ends before what was read.
    """

    def __init__(self, data: Path, reader: SqliteReader, after: int) -> None:
        self._data = data
        self._reader = reader
        self._file = self._identity()
        self._after = after

    def __iter__(self) -> Iterator[Page]:
        while True:
            try:
                self._reopen_if_replaced()
                for page in pages(self._reader, self._after):
                    yield page
                    self._after = page.through
            except Unavailable:
                pass  # closed for a moment, or just being made again
            time.sleep(POLL_S)

    def close(self) -> None:
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
        if reader.log_id != self._reader.log_id:
            reader.close()
            raise LogDamaged(f"{FILE} was exchanged: it is log {reader.log_id} now")
        self._reader.close()
        self._reader, self._file = reader, now
        if reader.head().position < self._after:
            raise LogDamaged(
                f"the log ends at position {reader.head().position}, before {self._after}, which "
                "was read already: an older copy was put back"
            )

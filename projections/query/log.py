"""Reading the log for answers: its head, and the events of a trace."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from events.errors import SpanledgerError
from events.log.port import LogReader
from events.log.reader import open_reader

_KEPT = 4


class Log:
    """Readers of one data folder's log, kept between questions; for many threads."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._idle: list[LogReader] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def read(self) -> Iterator[LogReader]:
        """A reader for this thread, until the end of the block."""
        with self._lock:
            reader = self._idle.pop() if self._idle else None
        if reader is None:
            reader = open_reader(self.data)
        try:
            yield reader
        except SpanledgerError:
            reader.close()  # the file may have been exchanged: open it anew next time
            raise
        with self._lock:
            if len(self._idle) < _KEPT:
                self._idle.append(reader)
                return
        reader.close()

    def head(self) -> int:
        """The last committed position; 0 while there is no log.

        Raises:
            Unavailable, Damaged: as `open_reader`.
        """
        with self.read() as reader:
            return reader.head().position

    def close(self) -> None:
        """Close the idle readers."""
        with self._lock:
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()

"""Standard error of a command: passed through as it comes, its end kept in memory.

Where ours is a terminal the command gets one, too, so that it writes as it would without us.
"""

import contextlib
import os
import pty
import re
import select
import termios
import threading
from typing import Final

OURS: Final = 2
KEPT_BYTES: Final = 16_384
LEFT_BEHIND_S: Final = 1.0
"""How long to go on reading what processes write that the command left behind."""
_CHUNK: Final = 65_536
_ESCAPES: Final = re.compile(
    rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])"
)


class Tail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes) -> None:
        """Take in what was written next."""
        self._kept = (self._kept + data)[-KEPT_BYTES:]

    def lines(self, count: int) -> str:
        """The last `count` lines as people saw them: without colours and overwritten progress."""
        plain = _ESCAPES.sub(b"", self._kept).decode("utf-8", "replace")
        rows = [row.rstrip("\r").rpartition("\r")[2].rstrip() for row in plain.split("\n")]
        return "\n".join([row for row in rows if row][-count:])


class Copy:
    """Copies what one process writes on standard error to ours; `descriptor` is for the process.

    Call `start` after the process was started, `finish` when it has ended.
    """

    def __init__(self) -> None:
        self.tail = Tail()
        self._terminal = os.isatty(OURS)
        self._source, self.descriptor = pty.openpty() if self._terminal else os.pipe()
        self._thread = threading.Thread(target=self._copy, name="stderr", daemon=True)
        if self._terminal:
            _write_plainly(self.descriptor)
            self.resize()

    def resize(self) -> None:
        """Give the terminal of the process the size of ours."""
        if self._terminal:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetwinsize(self._source, termios.tcgetwinsize(OURS))

    def start(self) -> None:
        """Begin to copy; the process has its own hold of the descriptor."""
        os.close(self.descriptor)
        self._thread.start()

    def cancel(self) -> None:
        """There is no process: nothing will be written."""
        os.close(self.descriptor)
        os.close(self._source)

    def finish(self) -> None:
        """Copy what is left; what others still hold open is copied until we end."""
        self._thread.join(LEFT_BEHIND_S)

    def _copy(self) -> None:
        with contextlib.suppress(OSError):  # EIO is how a terminal ends; EPIPE: nobody reads ours
            while data := os.read(self._source, _CHUNK):
                self.tail.add(data)
                _write(data)
        os.close(self._source)  # whoever writes on is told so, as without us


def _write(data: bytes) -> None:
    """Write all of it to our standard error, also where that does not block."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(OURS, left) :]
        except BlockingIOError:
            select.select((), (OURS,), ())


def _write_plainly(descriptor: int) -> None:
    """Change nothing of what is written: our own terminal does it once."""
    attributes = termios.tcgetattr(descriptor)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)

"""A shell on a real pseudo-terminal, and its other side, where keys are pressed."""

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class Terminal:
    """The other side of a pseudo-terminal, and the shell that leads its session."""

    descriptor: int
    shell: int
    seen: str = ""

    def read_until(self, words: str, within_s: float = 15.0) -> str:
        """All that was printed, once it holds `words`."""
        deadline_s = time.monotonic() + within_s
        while words not in self.seen:
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"{words!r} was not printed:\n{self.seen}"
            if select.select([self.descriptor], [], [], left_s)[0]:
                with contextlib.suppress(OSError):  # the shell ended
                    self.seen += os.read(self.descriptor, 65536).decode()
        return self.seen

    def press(self, key: bytes) -> None:
        """Send what a key sends."""
        os.write(self.descriptor, key)


@contextlib.contextmanager
def terminal(script: str) -> Iterator[Terminal]:
    """A shell that runs `script` as the leader of a session with a terminal."""
    shell, descriptor = pty.fork()
    if shell == 0:
        os.execv("/bin/sh", ["/bin/sh", "-c", script])
    try:
        yield Terminal(descriptor, shell)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(shell, signal.SIGKILL)
        os.waitpid(shell, 0)
        os.close(descriptor)

"""What wakes a thread without ever making the one that wakes it wait.

`threading.Event.set` takes a lock that the woken thread may hold while it waits for the
interpreter: then the program's thread waits for both, some milliseconds. A `SimpleQueue` has none.
"""

from queue import Empty, SimpleQueue


class Bell:
    """Rung by any thread, heard by one."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()
        self.rung = False

    def ring(self) -> None:
        """Wake who waits, or the next who will."""
        if not self.rung:
            self.rung = True
            self._queue.put(None)

    def wait(self, timeout_s: float | None) -> None:
        """Until it is rung, or this time is over; None is without end."""
        try:
            self._queue.get(timeout=timeout_s)
        except Empty:
            return

    def hush(self) -> None:
        """From now on it can be rung again."""
        self.rung = False

"""A spool without a disk: bounded, and gone with the process."""

from collections import deque
from collections.abc import Callable
from typing import Final

from spanledger_sdk.guard import complain
from spanledger_sdk.handover.encode import Body

LIMIT_BYTES: Final = 8 << 20
DROPPED: Final = "spans and records were dropped: too many wait in memory"


class MemorySpool:
    """Like `Spool`, of one process; the oldest go first when it is full."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._bodies: deque[Body] = deque()
        self._size = 0

    def append(self, body: Body) -> bool:
        """Keep it."""
        self._bodies.append(body)
        self._size += len(body.data)
        while self._size > self._limit_bytes and self._bodies:
            oldest = self._bodies.popleft()
            self._size -= len(oldest.data)
            complain(DROPPED, "", oldest.items)
        return True

    def waiting(self) -> bool:
        """Whether anything waits."""
        return bool(self._bodies)

    def count(self) -> int:
        """How many spans and records wait."""
        return sum(body.items for body in self._bodies)

    def send(self, take: Callable[[Body], bool]) -> bool:
        """Give the oldest to `take`; whether there was one, and it is gone."""
        if not self._bodies or not take(self._bodies[0]):
            return False
        self._size -= len(self._bodies.popleft().data)
        return True

    def after_fork(self) -> None:
        """What waits is the parent's."""
        self._bodies.clear()
        self._size = 0

    def close(self) -> None:
        """What waits is lost, and counted."""
        if self._bodies:
            complain("spans and records were dropped: the program ended", "", self.count())
            self._bodies.clear()

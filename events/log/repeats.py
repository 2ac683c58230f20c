"""Signs of life that came again: when a duplicate of each arrived last.

A duplicate is not stored again, whatever it is. But a heartbeat without a time, or of a clock that
stands, is the same event each time: that it arrives says that its attempt lives. Held in memory:
after a restart nothing is known for a while, and `heard_again` says so.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

MOST: Final = 1 << 16
"""Of so many signs it is known, the latest; about 10 MiB."""


class Repeats:
    """Safe for any number of threads.

    Args:
        steady: a clock that nobody sets, in nanoseconds.
    """

    def __init__(self, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self._steady = steady
        self._since_ns = steady()
        self._latest: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, ids: Iterable[bytes]) -> None:
        """Duplicates of these events arrive now."""
        now_ns = self._steady()
        with self._lock:
            for event_id in ids:
                self._latest[event_id] = now_ns
                self._latest.move_to_end(event_id)
            while len(self._latest) > MOST:
                self._latest.popitem(last=False)

    def heard_again(self, ids: Iterable[bytes], within_ns: int) -> set[bytes] | None:
        """Those of `ids` of which a duplicate came in the last `within_ns`; None if this has not
        listened for so long."""
        after_ns = self._steady() - within_ns
        if after_ns < self._since_ns:
            return None
        with self._lock:
            return {one for one in ids if self._latest.get(one, after_ns) > after_ns}

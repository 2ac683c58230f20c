"""How often a caller may call: a token bucket for each."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from events.errors import Unavailable

RATE: Final = 10.0
"""Calls a second, for as long as one likes."""
BURST: Final = 20
"""Calls at once."""
_MOST_CALLERS: Final = 10_000


class TooManyCalls(Unavailable):
    """A caller has used up its calls for the moment."""


class Buckets:
    """The buckets of all callers, bounded in number; for many threads.

    Args:
        clock: seconds that never run back.
    """

    def __init__(
        self, rate: float = RATE, burst: int = BURST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count a call.

        Raises:
            TooManyCalls: there is none left; `retry_after_s` says when there is.
        """
        now_s = self._clock()
        with self._lock:
            left, at_s = self._left.pop(caller, (float(self._burst), now_s))
            left = min(left + (now_s - at_s) * self._rate, float(self._burst))
            allowed = left >= 1.0
            self._left[caller] = (left - 1.0 if allowed else left, now_s)
            if len(self._left) > _MOST_CALLERS:
                self._left.popitem(last=False)  # the one that was silent longest: it has most left
        if not allowed:
            wait_s = (1.0 - left) / self._rate
            raise TooManyCalls(
                f"more than {self._burst} calls at once, or {self._rate:g} a second; wait "
                f"{wait_s:.2f} s",
                retry_after_s=wait_s,
            )

"""Texts that many pages ask for at once, kept for a moment."""

import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

_MOST: Final = 100


class Kept:
    """Texts by what they depend on; safe to use from many threads.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._texts: dict[Hashable, tuple[float, str]] = {}

    def of(self, key: Hashable, kept_s: float, make: Callable[[], str]) -> str:
        """A text, made at most once in `kept_s` seconds; who asks meanwhile waits for it."""
        with self._lock:
            made_s, text = self._texts.get(key, (-math.inf, ""))
            if self._clock() - made_s >= kept_s:
                text = make()
                if len(self._texts) >= _MOST:
                    self._texts.clear()
                self._texts[key] = self._clock(), text
        return text

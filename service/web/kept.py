"""Texts that many pages ask for at once, kept for a moment."""

import math
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

_MOST: Final = 100


@dataclass(slots=True)
class _Text:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made_s: float = -math.inf
    text: str = ""


class Kept:
    """Texts by what they depend on; safe to use from many threads.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._texts: dict[Hashable, _Text] = {}

    def of(self, key: Hashable, kept_s: float, make: Callable[[], str]) -> str:
        """A text, made at most once in `kept_s` seconds; who asks for it meanwhile waits, and who
        asks for another does not."""
        with self._lock:
            if key not in self._texts and len(self._texts) >= _MOST:
                self._texts.clear()
            kept = self._texts.setdefault(key, _Text())
        with kept.lock:
            if self._clock() - kept.made_s >= kept_s:
                kept.text = make()
                kept.made_s = self._clock()
            return kept.text

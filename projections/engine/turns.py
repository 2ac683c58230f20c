"""How the time is divided between those who keep up and those who are behind."""

import time
from collections.abc import Callable
from typing import Final

_SHARE: Final = 1 / 3
"""Seconds of catching up for each second of feeding: a quarter of the time, while both want it."""


class Turns:
    """Lets catching up come after feeding; what is not used up when there is nothing to feed."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._due_s = 0.0

    def take(self, feed: Callable[[], bool], catch_up: Callable[[], bool]) -> bool:
        """Feed, and catch up if it is time; was there anything to do?"""
        started_s = self._clock()
        fed = feed()
        fed_s = self._clock()
        if not fed:
            self._due_s = 0.0
            return catch_up()
        self._due_s += (fed_s - started_s) * _SHARE
        if self._due_s > 0 and catch_up():
            self._due_s -= self._clock() - fed_s
        else:
            self._due_s = min(self._due_s, 0.0)
        return True

"""How long to wait before the same request is sent again."""

import random
import time
from collections.abc import Callable
from typing import Final

from projections.policies.backoff import retry_after_s

FIRST_S: Final = 0.5
CEILING_S: Final = 30.0
THROTTLE_CEILING_S: Final = 600.0
"""The longest a target's own RetryInfo or Retry-After is taken at its word."""


class Backoff:
    """Doubles from `first_s` to `ceiling_s`, each wait drawn from its upper half.

    The jitter keeps many senders from coming back to a restarted target at once.
    """

    def __init__(
        self,
        first_s: float = FIRST_S,
        ceiling_s: float = CEILING_S,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._ceiling_s = ceiling_s
        self._draw = draw
        self._next_s = first_s

    def next_s(self, asked_s: float = 0.0) -> float:
        """The next wait in seconds; never shorter than the target asked for."""
        wait_s = self._next_s * (0.5 + self._draw() / 2)
        self._next_s = min(self._next_s * 2, self._ceiling_s)
        return max(wait_s, min(asked_s, THROTTLE_CEILING_S))

    def reset(self) -> None:
        """Start again from the shortest wait."""
        self._next_s = self._first_s


def asked_s(header: str | None) -> float:
    """Seconds of a Retry-After header, which is a number or a date; 0 if it is neither."""
    return retry_after_s(header, time.time()) or 0.0

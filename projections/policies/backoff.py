"""How long to wait before the next attempt: by the policy, by chance, and by what a peer asked."""

import email.utils
import math
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final, NamedTuple

_SHARE: Final = {"none": 1.0, "equal": 0.5, "full": 0.0}
"""The least part of a pause that jitter leaves."""
_LONGEST_S: Final = 31_536_000.0


class Pause(NamedTuple):
    """The bounds of a pause, in seconds; equal where there is no jitter."""

    least_s: float
    most_s: float

    def drawn(self, chance: float) -> float:
        """A pause between them.

        Args:
            chance: a random number, 0 to 1.
        """
        return self.least_s + (self.most_s - self.least_s) * chance


def pause_after(failed: int, values: Mapping[str, Any]) -> Pause:
    """The pause after so many failed attempts, from 1, by the settings `backoff.…`."""
    kind, base_s = values["backoff.kind"], values["backoff.base_s"]
    if kind == "none":
        return Pause(0.0, 0.0)
    if kind == "exponential":
        try:
            pause_s = base_s * values["backoff.factor"] ** (failed - 1)
        except OverflowError:
            pause_s = _LONGEST_S if base_s else 0.0
    else:
        pause_s = base_s * (failed if kind == "linear" else 1)
    most_s = min(pause_s, values["backoff.cap_s"], _LONGEST_S)
    return Pause(most_s * _SHARE[values["backoff.jitter"]], most_s)


def retry_after_s(given: Any, now_s: float) -> float | None:
    """The seconds that a `Retry-After` asks for: a number, a text of one, or a date of HTTP.

    Args:
        now_s: since 1970; dates are compared with it, and those in the past are 0.

    Returns: None if there is none, or it cannot be read.
    """
    if isinstance(given, bool) or given is None:
        return None
    if isinstance(given, list | tuple):  # headers are recorded as lists
        return retry_after_s(given[0], now_s) if given else None
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        try:
            when = email.utils.parsedate_to_datetime(str(given))
        except (TypeError, ValueError, OverflowError):  # the last: of a year or a zone
            return None
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        seconds = when.timestamp() - now_s
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_S)

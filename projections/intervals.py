"""How sure an observed rate is."""

import math
from typing import Final, NamedTuple

Z_95: Final = 1.959963984540054
"""The normal quantile of 97.5 %: two-sided intervals of 95 %."""


class Interval(NamedTuple):
    """Bounds of a share, from 0 to 1."""

    low: float
    high: float


def wilson(successes: int, trials: int, z: float = Z_95) -> Interval:
    """The score interval of a share (Wilson 1927): sensible for few trials, and for none, of which
    nothing is known.

    Args:
        successes: from 0 to `trials`.
        z: the quantile of the wanted confidence.
    """
    if trials == 0:
        return Interval(0.0, 1.0)
    share = successes / trials
    spread = z * z / trials
    middle = share + spread / 2
    width = z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low, high = (middle - width) / (1 + spread), (middle + width) / (1 + spread)
    return Interval(
        max(low, 0.0) if successes else 0.0, min(high, 1.0) if successes < trials else 1.0
    )

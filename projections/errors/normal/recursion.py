"""Recursion of any depth folded into one round."""

from collections.abc import Sequence
from typing import Final

PERIOD_LIMIT: Final = 8


def folded(frames: Sequence[str]) -> list[str]:
    """The frames with each round of up to eight that repeats kept once.

    Takes time in proportion to the frames.
    """
    kept: list[str] = []
    for frame in frames:
        kept.append(frame)
        for period in range(1, PERIOD_LIMIT + 1):
            if 2 * period > len(kept):
                break
            if kept[-period:] == kept[-2 * period : -period]:
                del kept[-period:]
                break
    return kept

"""How often a retry helped: counts, and the interval that the true share lies in."""

import math
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from projections.policies.rule import Case

_Z: Final = 1.959964
"""Of the normal distribution, for 95 %."""
Share = Annotated[float, Meta(ge=0, le=1)]
ENOUGH: Final = 20
"""So many retries of a narrower group outweigh a wider one."""
Basis = Literal["pattern", "category and component", "category"]


class Chance(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the attempts that followed failed ones, in one state.

    `low` to `high` is the Wilson interval of `share`, at 95 %.
    """

    basis: Annotated[Basis, Meta(description="Which failures were counted")]
    attempt: Annotated[int, Meta(description="The number of the attempt that might follow")]
    tried: Annotated[int, Meta(description="So often such an attempt was made")]
    succeeded: int
    share: Share
    low: Share
    high: Share
    wait_s: Annotated[
        float | None, Meta(description="Median pause before those that succeeded, in seconds")
    ] = None


class Chances(Protocol):
    """Knows what came of earlier retries."""

    def of(self, case: Case, attempt: int) -> Chance | None:
        """What attempt `attempt` came to, where the one before failed so; None if none was made."""
        ...


class NoChances:
    """Knows nothing: there is no history here."""

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`."""
        return None


def wilson(succeeded: int, tried: int) -> tuple[float, float]:
    """The interval in which the true share lies, at 95 % (Wilson 1927).

    Unlike the normal approximation it stays within 0 and 1, and is right for few tries.
    """
    if tried <= 0:
        return 0.0, 1.0
    share, square = succeeded / tried, _Z * _Z
    middle = share + square / (2 * tried)
    half = _Z * math.sqrt((share * (1 - share) + square / (4 * tried)) / tried)
    scale = 1 + square / tried
    low = 0.0 if succeeded == 0 else max((middle - half) / scale, 0.0)
    high = 1.0 if succeeded == tried else min((middle + half) / scale, 1.0)
    return low, high


def chance(
    basis: Basis, attempt: int, tried: int, succeeded: int, wait_s: float | None = None
) -> Chance:
    """The chance that counts say."""
    low, high = wilson(succeeded, tried)
    return Chance(
        basis=basis, attempt=attempt, tried=tried, succeeded=succeeded,
        share=round(succeeded / tried, 6) if tried else 0.0,
        low=round(low, 6), high=round(high, 6), wait_s=wait_s,
    )  # fmt: skip

"""What failing attempts have in common that passing ones have not: pure, on samples of both."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

VALUE_CHARACTERS: Final = 120
LISTED: Final = 10
SUPPORT: Final = 3
_SHARE: Final = 0.3
_LIFT: Final = 1.2
_OWN: Final = (
    "exception.",
    "error.",
    "task.id",
    "task.run.id",
    "task.attempt",
    "task.result",
    "otel.",
)

Pair = tuple[str, str]


class Correlated(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute that failing attempts have more often than others."""

    key: str
    value: str
    support: Annotated[int, Meta(description="How many of the failing attempts in the sample")]
    failing: Annotated[float, Meta(description="Share of the failing attempts that have it")]
    passing: Annotated[float, Meta(description="Share of the passing attempts that have it")]
    lift: Annotated[
        float, Meta(description="Share among the failing ones by the share among all in the sample")
    ]


def pairs_of(attributes: Mapping[str, Any]) -> set[Pair]:
    """Attributes as they are compared: those with a value of one word or number."""
    return {
        (key, str(value)[:VALUE_CHARACTERS])
        for key, value in attributes.items()
        if isinstance(value, str | int | bool) and value != "" and not key.startswith(_OWN)
    }


def correlated(failing: Sequence[set[Pair]], passing: Sequence[set[Pair]]) -> list[Correlated]:
    """The attributes that say most, those with the highest lift first; at most ten.

    Without passing attempts nothing can be said.
    """
    if not failing or not passing:
        return []
    bad, good = _counts(failing), _counts(passing)
    found = []
    for (key, value), support in bad.items():
        share, other = support / len(failing), good[key, value] / len(passing)
        whole = (support + good[key, value]) / (len(failing) + len(passing))
        if support >= SUPPORT and share >= _SHARE and share / whole >= _LIFT:
            found.append(
                Correlated(
                    key=key,
                    value=value,
                    support=support,
                    failing=round(share, 3),
                    passing=round(other, 3),
                    lift=round(share / whole, 2),
                )
            )
    return sorted(found, key=lambda one: (-one.lift, -one.support, one.key, one.value))[:LISTED]


def _counts(sample: Iterable[set[Pair]]) -> Counter[Pair]:
    return Counter(pair for pairs in sample for pair in pairs)

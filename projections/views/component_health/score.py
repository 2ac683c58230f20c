"""The score of a component and its risk of failure: pure, the formula of docs/errors.md."""

from math import exp
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

HOURS: Final = 24
FAILING, LOST, ABANDONED, RISING, NEW = 40.0, 25.0, 10.0, 15.0, 10.0
"""The most that each deduction takes away; together 100."""
_FAILING_FULL: Final = 0.5
_LOST_FULL: Final = 0.25
_ABANDONED_FULL: Final = 0.1
_NEW_EACH: Final = 5.0
_FACTOR: Final = 2
_AT_LEAST: Final = 5


class Counts(NamedTuple):
    """What is known of a component: of the last 24 hours, and of the hour before now."""

    completed: int = 0
    failures: int = 0
    abandoned: int = 0
    recent: int = 0
    recent_failures: int = 0
    runs: int = 0
    runs_lost: int = 0
    new_errors: int = 0

    @property
    def attempts(self) -> int:
        """All that ended."""
        return self.completed + self.failures


class Deduction(msgspec.Struct, frozen=True, kw_only=True):
    """Points that a component lost, and for what."""

    name: str
    points: float
    reason: str


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """How likely a failure is within the next hour."""

    probability: Annotated[float, Meta(description="Of at least one failure")]
    expected: Annotated[float, Meta(description="Failures in the hour, on average")]
    basis: str


def deductions_of(counts: Counts) -> list[Deduction]:
    """What is taken from 100 points, the most first."""
    attempts, runs = counts.attempts, counts.runs
    hourly, recent = counts.failures / HOURS, counts.recent_failures
    found = [
        _part("failing attempts", FAILING, counts.failures, attempts, _FAILING_FULL),
        _part("runs lost", LOST, counts.runs_lost, runs, _LOST_FULL),
        _part("abandoned attempts", ABANDONED, counts.abandoned, attempts, _ABANDONED_FULL),
    ]
    if recent >= _FACTOR * hourly and recent - hourly >= _AT_LEAST:
        told = f"{recent} failures in the last hour, {hourly:.1f} in a usual one of the day"
        found.append(Deduction(name="failures rise", points=RISING, reason=told))
    if counts.new_errors:
        points = min(NEW, _NEW_EACH * counts.new_errors)
        told = f"{counts.new_errors} errors that were never seen before the last 24 hours"
        found.append(Deduction(name="new errors", points=points, reason=told))
    return sorted((one for one in found if one.points), key=lambda one: -one.points)


def _part(name: str, most: float, count: int, of: int, full: float) -> Deduction:
    share = count / of if of else 0.0
    points = round(most * min(share / full, 1.0), 1)
    return Deduction(name=name, points=points, reason=f"{count} of {of} ({share:.1%})")


def risk_of(counts: Counts) -> Risk:
    """The risk of the next hour, as if failures came by chance at the rate seen lately."""
    hourly = counts.failures / HOURS
    expected = (counts.recent_failures + hourly) / 2
    basis = (
        f"mean of {counts.recent_failures} failures in the last hour and {hourly:.2f} an hour in "
        f"the last {HOURS} hours, of {counts.attempts} attempts; as a Poisson process"
    )
    return Risk(probability=round(1 - exp(-expected), 4), expected=round(expected, 2), basis=basis)

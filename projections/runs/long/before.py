"""Which attempts of a run were replaced, and what they were like before."""

from typing import NamedTuple

from projections.runs.attempt import Attempt
from projections.runs.changes import Difference
from projections.runs.facts import RunFacts
from projections.runs.long.left_out import Brief


class Before:
    """What attempts were like before they were replaced."""

    def __init__(self, attempts: dict[int, Attempt]) -> None:
        self._attempts = attempts
        self.replaced: dict[int, Attempt | None] = {}

    def note(self, number: int) -> None:
        """Remember an attempt that is about to change or come."""
        if number not in self.replaced:
            self.replaced[number] = self._attempts.get(number)

    def all_of(self, attempts: dict[int, Attempt]) -> None:
        """Any of them may have changed."""
        self.replaced = dict.fromkeys(attempts) | dict(self._attempts)

    def difference(self, attempts: dict[int, Attempt]) -> tuple[list[Attempt], list[Attempt]]:
        """The attempts that went and those that came."""
        gone: list[Attempt] = []
        came: list[Attempt] = []
        for number, old in self.replaced.items():
            new = attempts.get(number)
            if old == new:
                continue
            if old is not None:
                gone.append(old)
            if new is not None:
                came.append(new)
        return gone, came


class Added(NamedTuple):
    """What more facts did: those that were not known, those that are left out now, the change."""

    fresh: RunFacts
    out: list[Brief]
    change: Difference | None

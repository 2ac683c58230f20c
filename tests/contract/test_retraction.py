"""Facts that leave a run for another: in the end the rows are those of where they are."""

import random
import sqlite3
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from projections.fold import RunFold
from projections.runs.extracted import Extracted, RunKey
from projections.runs.failing import error_no
from projections.runs.registry import longruns
from projections.runs.registry import runs as stage
from tests.contract.test_long_runs import Fact, error_of, history
from tests.thorough import examples
from tests.view_rows import rows_of

TENANT = 1
KEYS: list[RunKey] = [(TENANT, "a", "r1"), (TENANT, "a", "r2"), (TENANT, "b", "r1")]
Move = tuple[Fact, RunKey | None, RunKey]
"""A fact, the run that it leaves, and the one that it goes to."""


class Told:
    """Views that are told of facts without a log."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.fold = RunFold(None, {})
        self.fold.create(self.connection)
        self.fold.index(self.connection)
        self.fold.attach(self.connection)
        registry = self.fold._registry
        assert registry.tenant_no("default") == TENANT
        for number in range(1, 10):
            where = (
                f"w{number}",
                None,
                None,
                None,
                None,
                None,
                "shop",
                "prod",
                "native",
                "native@1",
            )
            assert registry.source_no(TENANT, where) == number
            assert error_no(registry, TENANT, 0, (f"E{number}", "", "")) == error_of(number)

    def take(self, moves: Iterable[Move]) -> None:
        """A part of a page."""
        found = Extracted({}, [], lambda origins: [], {})
        for fact, left, entered in moves:
            if left is not None:
                found.leave(left, fact.event_id)
            found.enter(entered, fact)
        for changes in [self.fold.stage.apply(self.connection, found)]:
            for group in self.fold.groups:
                group.update(self.connection, changes)
        self.fold.stage.flush(self.connection)
        for group in self.fold.groups:
            group.flush(self.connection)


def moves_of(facts: Sequence[Fact], chance: random.Random) -> tuple[list[Move], list[Move]]:
    """Facts that arrive and move about; and where they are in the end."""
    moves: list[Move] = []
    at: dict[bytes, RunKey] = {}
    arrived: list[Fact] = []
    for fact in facts:
        key = at[fact.event_id] = chance.choice(KEYS)
        moves.append((fact, None, key))
        arrived.append(fact)
        while chance.random() < 0.3:
            moved = chance.choice(arrived)
            to = chance.choice(KEYS)
            moves.append((moved, at[moved.event_id], to))
            at[moved.event_id] = to
    return moves, [(fact, None, at[fact.event_id]) for fact in facts]


@pytest.mark.parametrize("limit", [3, 32])
@settings(deadline=None, max_examples=examples(80), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 32), oddity=st.sampled_from([0.0, 0.1, 0.6]), forget=st.booleans())
def test_rows_are_those_of_where_the_facts_are(
    limit: int, seed: int, oddity: float, forget: bool
) -> None:
    """Short runs and long ones; runs and tasks that nothing is left of have no rows at all."""
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(longruns, "INLINE_LIMIT", limit)
        patch.setattr(stage, "INLINE_LIMIT", limit)
        moves, final = moves_of(history(seed, oddity, chance.randint(1, 12)), chance)
        told, expected = Told(), Told()
        at = 0
        while at < len(moves):
            size = chance.randint(1, 5)
            told.take(moves[at : at + size])
            if forget:
                told.fold.forget()
            at += size
        expected.take(chance.sample(final, len(final)))
        assert rows_of(told.connection) == rows_of(expected.connection)

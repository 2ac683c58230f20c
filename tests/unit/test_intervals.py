"""Intervals of observed rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.intervals import wilson

counts = st.integers(0, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_share_lies_within(counted: tuple[int, int]) -> None:
    """Bounds are shares, and the observed rate is between them."""
    successes, trials = counted
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    assert not trials or low <= successes / trials <= high


@given(counts)
def test_failures_mirror_successes(counted: tuple[int, int]) -> None:
    """The interval of the failures is that of the successes, turned round."""
    successes, trials = counted
    low, high = wilson(successes, trials)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low))


@given(counts.filter(lambda counted: counted[1] > 0))
def test_more_trials_say_more(counted: tuple[int, int]) -> None:
    """The same rate from ten times as many trials has a narrower interval."""
    successes, trials = counted
    few, many = wilson(successes, trials), wilson(10 * successes, 10 * trials)
    assert many.high - many.low < few.high - few.low


def test_the_published_example() -> None:
    """81 of 263 is the example of Newcombe (1998), method 3: 0.2553 to 0.3662."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)

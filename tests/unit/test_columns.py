"""Charts of columns along time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.web.charts.columns import Column, columns, top_of


@pytest.mark.parametrize(
    ("most", "top"), [(0, 2), (1, 2), (3, 4), (10, 10), (11, 20), (100, 100), (101, 200)]
)
def test_an_axis_ends_at_a_round_number(most: float, top: int) -> None:
    """Not far above the highest column."""
    assert top_of(most) == top


@given(st.integers(1, 10**12))
def test_an_axis_holds_its_columns(most: int) -> None:
    """Its end and its middle are whole numbers, and the highest column takes half of it."""
    top = top_of(most)
    assert top % 2 == 0
    assert most <= top <= max(2 * most, 2)


def test_a_chart_is_told_by_its_words() -> None:
    """What it sums up to, and each column."""
    told = columns([Column(2, 1, "at noon: 1 lost")], words=("recovered", "lost"))
    assert 'aria-label="2 recovered and 1 lost in 1 buckets of time"' in told
    assert '<ul class="sr"><li>at noon: 1 lost</li></ul>' in told

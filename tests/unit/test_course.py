"""State and trend of an error, from how often it was seen in each hour."""

import pytest

from projections.views.error_patterns.answers.course import Course, course_of

NOW = 500_000
"""Hours since 1970."""
STEADY = [(NOW - back, 1) for back in range(400, -1, -10)]
"""Two or three a day, for a long time."""


@pytest.mark.parametrize(
    ("hours", "state", "trend"),
    [
        ([(NOW - 400, 3)], "resolved", "steady"),
        ([(NOW - 3, 1)], "new", "steady"),
        ([(NOW - 3, 9)], "new", "rising"),
        (STEADY, "ongoing", "steady"),
        ([*STEADY[:-1], (NOW, 40)], "escalating", "rising"),
        ([(NOW - 100, 300), (NOW, 1)], "ongoing", "falling"),
        ([(NOW - 480, 1), (NOW - 100, 1), (NOW - 2, 1)], "regressed", "steady"),
    ],
)
def test_a_course_is_told_from_counts(hours: list[tuple[int, int]], state: str, trend: str) -> None:
    """As docs/errors.md says."""
    found = course_of(hours, hours[0][0], hours[-1][0], NOW)
    assert (found.state, found.trend) == (state, trend)


def test_a_silence_before_the_hours_that_are_looked_at_counts() -> None:
    """Seen a year ago, and again two days ago."""
    assert course_of([(NOW - 48, 1)], NOW - 9000, NOW - 48, NOW).state == "regressed"


def test_a_usual_day_is_a_mean_of_the_days_since_the_first() -> None:
    """Two days are known besides the last one, with six occurrences."""
    hours = [(NOW - 71, 2), (NOW - 30, 4), (NOW, 5)]
    assert course_of(hours, NOW - 71, NOW, NOW) == Course("ongoing", "steady", 5, 3.0)

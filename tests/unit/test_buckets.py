"""Log buckets keep their error bound and can be added and subtracted."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.storage import buckets

DURATIONS = st.integers(0, 10**18)


@given(DURATIONS)
def test_a_bucket_stands_for_its_durations_within_two_percent(duration_ns: int) -> None:
    """The stated error bound holds for every duration, zero included."""
    middle = buckets.middle_ns(buckets.bucket_of(duration_ns))
    assert abs(middle - duration_ns) <= buckets.ERROR_BOUND * duration_ns


@given(st.dictionaries(st.integers(0, 1_200), st.integers(1, 10**6)))
def test_the_stored_form_comes_back(counts: dict[int, int]) -> None:
    """Encoding loses nothing and does not depend on the order of arrival."""
    shuffled = dict(random.Random(1).sample(sorted(counts.items()), len(counts)))
    assert buckets.decode(buckets.encode(counts)) == counts
    assert buckets.encode(shuffled) == buckets.encode(counts)


def test_what_was_added_can_be_subtracted() -> None:
    """A count of zero leaves no trace in the stored form."""
    assert buckets.encode({5: 0, 7: 2}) == buckets.encode({7: 2})
    assert buckets.encode({5: 0}) == b""


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99])
def test_percentiles_are_those_of_the_exact_durations(fraction: float) -> None:
    """Nearest rank over buckets is within the bound of nearest rank over the durations."""
    chance = random.Random(7)
    durations = sorted(int(10 ** chance.uniform(3, 13)) for _ in range(5_000))
    counts: dict[int, int] = {}
    for duration_ns in durations:
        bucket = buckets.bucket_of(duration_ns)
        counts[bucket] = counts.get(bucket, 0) + 1
    exact = durations[int(fraction * len(durations)) - 1]
    (read,) = buckets.percentiles(counts, fraction)
    assert read == pytest.approx(exact, rel=buckets.ERROR_BOUND)
    assert buckets.minimum_ns(counts) == pytest.approx(durations[0], rel=buckets.ERROR_BOUND)
    assert buckets.maximum_ns(counts) == pytest.approx(durations[-1], rel=buckets.ERROR_BOUND)


def test_nothing_counted_has_no_percentiles() -> None:
    """No duration is None, never zero."""
    assert buckets.percentiles({}, 0.5, 0.99) == [None, None]
    assert buckets.minimum_ns({}) is None
    assert buckets.merged(b"", b"") == {}


def test_stored_forms_merge() -> None:
    """Days are the sum of their hours."""
    assert buckets.merged(buckets.encode({3: 1, 4: 2}), buckets.encode({4: 1})) == {3: 1, 4: 3}

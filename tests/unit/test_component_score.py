"""The score of a component: each deduction by its name, as docs/errors.md says."""

import pytest

from projections.views.component_health.score import Counts, deductions_of, risk_of


@pytest.mark.parametrize(
    ("counts", "points"),
    [
        (Counts(completed=100, runs=100), {}),
        (Counts(completed=75, failures=25), {"failing attempts": 20.0}),
        (Counts(completed=10, failures=90), {"failing attempts": 40.0}),
        (Counts(completed=10, runs=8, runs_lost=1), {"runs lost": 12.5}),
        (
            Counts(completed=99, failures=1, abandoned=1),
            {"failing attempts": 0.8, "abandoned attempts": 1.0},
        ),
        (Counts(completed=1000, new_errors=1), {"new errors": 5.0}),
        (Counts(completed=1000, new_errors=7), {"new errors": 10.0}),
        (
            Counts(completed=76, failures=24, recent_failures=6),
            {"failing attempts": 19.2, "failures rise": 15.0},
        ),
    ],
)  # fmt: skip
def test_deductions_are_named(counts: Counts, points: dict[str, float]) -> None:
    """Points by the share, at most what the table says."""
    assert {one.name: one.points for one in deductions_of(counts)} == points


def test_all_deductions_together_leave_nothing() -> None:
    """The worst component has no points left, and never less than none."""
    worst = Counts(
        failures=240, abandoned=240, recent_failures=240, runs=10, runs_lost=10, new_errors=9
    )
    assert sum(one.points for one in deductions_of(worst)) == 100


def test_a_risk_says_what_it_goes_by() -> None:
    """No failures, no risk; a failure an hour is one in e of none."""
    assert risk_of(Counts(completed=9)).probability == 0
    risk = risk_of(Counts(failures=24, recent_failures=1))
    assert (risk.expected, risk.probability) == (1.0, 0.6321)
    assert "1 failures in the last hour and 1.00 an hour" in risk.basis

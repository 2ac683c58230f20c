"""The waits between two tries."""

import pytest

from projections.policies import backoff as policy
from service.forward.backoff import THROTTLE_CEILING_S, Backoff, retry_after_s
from spanledger_sdk.recovery import rules


def test_waits_double_up_to_a_ceiling() -> None:
    """Each wait is twice the last, until the longest."""
    backoff = Backoff(1.0, 5.0, draw=lambda: 1.0)
    assert [backoff.next_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_s() == 1.0


def test_jitter_takes_up_to_half() -> None:
    """The draw decides where between half and whole a wait lies."""
    assert Backoff(1.0, 5.0, draw=lambda: 0.0).next_s() == 0.5


def test_a_target_may_ask_for_longer() -> None:
    """A wait the target asked for is a lower bound, within reason."""
    backoff = Backoff(1.0, 5.0, draw=lambda: 1.0)
    assert backoff.next_s(7.5) == 7.5
    assert backoff.next_s(0.1) == 2.0
    assert backoff.next_s(1e9) == THROTTLE_CEILING_S


@pytest.mark.parametrize(
    "given",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 01 Jan 2024 00:00:00 +99999999999999999", "soon",
    ],
)  # fmt: skip
def test_a_date_that_is_none_is_no_wait(given: str) -> None:
    """Whoever answers may write anything into the header; nobody fails of it."""
    assert retry_after_s(given) == 0.0
    assert not policy.retry_after_s(given, 0.0)
    assert not rules.retry_after_s(given, 0.0)

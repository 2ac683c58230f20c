"""The waits between two tries."""

from service.forward.backoff import THROTTLE_CEILING_S, Backoff


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

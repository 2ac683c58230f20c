"""Tests that fail: now and then, and for good."""

import itertools

_calls = itertools.count(1)


def test_third_time_lucky() -> None:
    """Passes at its third try."""
    assert next(_calls) == 3


def test_always_fails() -> None:
    """Fails at each try."""
    raise ConnectionError("db down")

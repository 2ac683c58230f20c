"""Texts that many pages ask for are made once, and nobody waits for another's."""

import threading

import pytest

from service.web.kept import Kept


def test_a_text_is_made_once_in_its_time() -> None:
    """Then again; each key has its own."""
    now_s, made = [0.0], []
    kept = Kept(lambda: now_s[0])

    def make() -> str:
        made.append(now_s[0])
        return f"made at {now_s[0]:g}"

    assert [kept.of("a", 2.0, make) for _ in range(3)] == ["made at 0"] * 3
    assert kept.of("b", 2.0, make) == "made at 0"
    now_s[0] = 2.0
    assert kept.of("a", 2.0, make) == "made at 2"
    assert made == [0.0, 0.0, 2.0]


def test_who_asks_for_another_text_does_not_wait() -> None:
    """One that takes long holds up only those who ask for it."""
    kept = Kept()
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "slow"

    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(kept.of("slow", 60.0, slow))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    try:
        assert begun.wait(60)
        assert kept.of("other", 60.0, lambda: "other") == "other"
    finally:
        go_on.set()
        for thread in threads:
            thread.join()
    assert found == ["slow", "slow"]


def test_a_text_that_could_not_be_made_is_made_again() -> None:
    """A failure is not kept."""
    kept = Kept()

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.of("a", 60.0, fail)
    assert kept.of("a", 60.0, lambda: "made") == "made"

"""Hostile errors take no more time than their size allows."""

import time

import pytest

from projections.errors.assessment import assess, record_of
from projections.errors.classify.classifier import make_classifier
from projections.errors.stacks.reading import read_stack

CLASSIFIER = make_classifier()
MIB = 1 << 20
BOMBS = {
    "quotes": "'" * MIB,
    "open quotes": "'a " * (MIB // 3),
    "double quotes": '"\\' * (MIB // 2),
    "digits": "1" * MIB,
    "durations": "1m" * (MIB // 2),
    "colons": "a:" * (MIB // 2),
    "dashes": "a-" * (MIB // 2),
    "slashes": "/" * MIB,
    "paths": "/a" * (MIB // 2),
    "hex": "deadbeef" * (MIB // 8),
    "equals": "a=" * (MIB // 2),
    "emails": "a@" * (MIB // 2),
    "dots": "1." * (MIB // 2),
    "spaces": " " * MIB,
    "lines": "\n" * MIB,
    "words": "timed " * (MIB // 6),
    "not aborted": "connection refused " * (MIB // 19),
    "brackets": "<" * MIB,
}
STACKS = {
    "python": 'Traceback (most recent call last):\n' + '  File "/a/b.py", line 3, in f\n' * 10_000,
    "rounds": "E: x\n" + "".join(
        f"    at f{n % 7} (/a/b{n % 7}.js:{n}:1)\n" for n in range(10_000)
    ),
    "java": "E: x\n" + "".join(f"\tat a.B.m{n}(B.java:{n})\n" for n in range(10_000)),
    "causes": "E: x\n\tat a.B.c(B.java:1)\n" + "Caused by: E: y\n\tat a.B.d(B.java:2)\n" * 10_000,
    "one line": "\tat a." + "b" * MIB,
    "colours": "\x1b[31m" * (MIB // 5) + "\tat a.b(B.java:1)",
    "go": "goroutine 1 [running]:\n" + "main.f()\n\t/a/b.go:1 +0x1\n" * 10_000,
    "rust": "stack backtrace:\n"
    + "".join(f"  {n}: a::b\n     at ./c.rs:1:1\n" for n in range(9_000)),
    "php": "X in /a.php:1\nStack trace:\n"
    + "".join(f"#{n} /a.php({n}): f()\n" for n in range(9_000)),
    "ruby": "".join(f"a.rb:{n}:in `f'\n" for n in range(10_000)),
    "dotnet": "X: y\n" + "".join(f"   at A.B{n}(C d) in /e.cs:line {n}\n" for n in range(10_000)),
    "groups": "  + Exception Group Traceback (most recent call last):\n" + "  | " * (MIB // 4),
}  # fmt: skip


def took_s(record: dict[str, object]) -> float:
    """Processor time for one error, from nothing."""
    began = time.process_time()
    assess(record_of(record), CLASSIFIER)
    return time.process_time() - began


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_message_of_a_mebibyte_takes_a_fraction_of_a_second(bomb: str) -> None:
    """Whatever it is made of; scanning is linear, and what counts of it bounded."""
    assert took_s({"type": "ValueError", "message": BOMBS[bomb]}) < 1


@pytest.mark.parametrize("name", STACKS)
def test_ten_thousand_frames_take_a_fraction_of_a_second(name: str) -> None:
    """Whatever the language; where frames repeat they are folded."""
    assert took_s({"stacktrace": STACKS[name]}) < 2


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_in_place_of_a_stack_is_as_harmless(bomb: str) -> None:
    """It is looked at as text, line by line."""
    assert took_s({"stacktrace": BOMBS[bomb]}) < 1


def test_what_is_kept_of_a_long_trace_is_bounded() -> None:
    """A trace of any length is cut, not refused."""
    stack = read_stack("E: x\n" + "\tat a.B.c(B.java:1)\n" * 50_000)
    assert stack is not None
    assert len(stack.links[0].frames) < 20_001

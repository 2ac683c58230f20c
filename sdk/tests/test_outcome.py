"""How an attempt ended, by the exception that left it."""

import asyncio
import concurrent.futures
import signal

import pytest

from spanledger_sdk.outcome import (
    MESSAGE_LIMIT_CHARS,
    STACK_LIMIT_CHARS,
    outcome_of,
    outcome_of_exit,
)


class Cancelled(BaseException):
    """As trio has it."""


class NoText(Exception):
    """Its text fails."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "completed"),
        (SystemExit(), "completed"),
        (SystemExit(0), "completed"),
        (SystemExit(2), "failed"),
        (ValueError("x"), "failed"),
        (MemoryError(), "failed"),
        (TimeoutError(), "timed_out"),
        (concurrent.futures.TimeoutError(), "timed_out"),
        (asyncio.CancelledError(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (Cancelled(), "cancelled"),
        (BaseExceptionGroup("two", [KeyboardInterrupt()]), "failed"),
    ],
)
def test_each_exception_has_its_result(error: BaseException | None, result: str) -> None:
    """Cancellation and timeouts are no failures."""
    assert outcome_of(error).result == result


def test_a_problem_names_type_message_and_stack() -> None:
    """With the module where it is not a built-in, and the cause."""
    try:
        try:
            raise KeyError("inner")
        except KeyError as exc:
            raise NoText from exc
    except NoText as exc:
        problem = outcome_of(exc).problem
    assert problem is not None
    assert problem.type.endswith("test_outcome.NoText")
    assert "__str__ fails" in problem.message
    assert "KeyError: 'inner'" in problem.stack


def test_texts_are_bounded() -> None:
    """Of a stack both ends are kept."""
    problem = outcome_of(ValueError("a" + "x" * 100_000 + "z")).problem
    assert problem is not None
    assert len(problem.message) == MESSAGE_LIMIT_CHARS
    assert len(problem.stack) <= STACK_LIMIT_CHARS + 10
    assert problem.stack.startswith("ValueError: a")
    assert problem.stack.endswith("z\n")


@pytest.mark.parametrize(
    ("code", "result", "kind", "message"),
    [
        (0, "completed", None, None),
        (3, "failed", "exit.3", "exit code 3: no such table"),
        (-signal.SIGKILL, "failed", "SIGKILL", "ended by SIGKILL: no such table"),
        (-99, "failed", "signal 99", "ended by signal 99: no such table"),
    ],
)
def test_a_process_ends_by_code_or_signal(
    code: int, result: str, kind: str | None, message: str | None
) -> None:
    """The last line that it said tells why."""
    outcome = outcome_of_exit(code, "warning\nno such table\n\n")
    assert outcome.result == result
    assert (outcome.problem and outcome.problem.type) == kind
    assert (outcome.problem and outcome.problem.message) == message

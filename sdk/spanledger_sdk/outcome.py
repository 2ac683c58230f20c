"""How an attempt ended: the word for it, and what is said of its error.

An exception decides, unless the program said otherwise before it. Texts are bounded, and those of
a foreign `__str__` that fails are replaced.
"""

import asyncio
import concurrent.futures
import signal
import traceback
from typing import Final, Literal, NamedTuple

Result = Literal["completed", "failed", "timed_out", "cancelled", "skipped"]

STACK_LIMIT_CHARS: Final = 32_000
MESSAGE_LIMIT_CHARS: Final = 4_000
_CANCELLATIONS: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)
_INTERRUPTIONS: Final = (KeyboardInterrupt, GeneratorExit)
_CANCELLED_NAMES: Final = frozenset({"Cancelled", "CancelledError"})  # those of trio, for one


class Problem(NamedTuple):
    """What is recorded of an error."""

    type: str
    message: str
    stack: str = ""


class Outcome(NamedTuple):
    """The end of an attempt."""

    result: Result
    problem: Problem | None = None


COMPLETED: Final = Outcome("completed")


def outcome_of(error: BaseException | None) -> Outcome:
    """The outcome of an attempt that this exception left; None is none.

    Cancelled: asyncio, futures and trio say so, Ctrl-C, and a generator closed before its end.
    Timed out: TimeoutError. `sys.exit()` without an error is an end as good as any.
    """
    if error is None:
        return COMPLETED
    if isinstance(error, SystemExit) and not error.code:
        return COMPLETED
    return Outcome(_result_of(error), problem_of(error))


def _result_of(error: BaseException) -> Result:
    if isinstance(error, _CANCELLATIONS + _INTERRUPTIONS):
        return "cancelled"
    if isinstance(error, TimeoutError):
        return "timed_out"
    if not isinstance(error, Exception) and type(error).__name__ in _CANCELLED_NAMES:
        return "cancelled"
    return "failed"


def problem_of(error: BaseException) -> Problem:
    """What is recorded of an exception: type with its module, message, stack with its causes."""
    kind = type(error)
    module = kind.__module__
    name = kind.__qualname__ if module in ("builtins", None) else f"{module}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:
        message = "(it has no text: its __str__ fails)"
    return Problem(name, message[:MESSAGE_LIMIT_CHARS], _stack_of(error))


def _stack_of(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:
        text = "".join(traceback.format_tb(error.__traceback__))
    if len(text) <= STACK_LIMIT_CHARS:
        return text
    half = STACK_LIMIT_CHARS // 2  # where it began, and what was raised
    return f"{text[:half]}\n  …\n{text[-half:]}"


def outcome_of_exit(code: int, stderr_tail: str = "") -> Outcome:
    """The outcome of a process.

    Args:
        code: as `subprocess` gives it: 0 is well, a negative one is the signal that ended it.
        stderr_tail: the end of what it said; its last line becomes the message.
    """
    if code == 0:
        return COMPLETED
    lines = [line.strip() for line in stderr_tail.splitlines() if line.strip()]
    if code > 0:
        kind, said = f"exit.{code}", f"exit code {code}"
    else:
        kind = _signal_name(-code)
        said = f"ended by {kind}"
    message = f"{said}: {lines[-1]}" if lines else said
    return Outcome(
        "failed", Problem(kind, message[:MESSAGE_LIMIT_CHARS], stderr_tail[-STACK_LIMIT_CHARS:])
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

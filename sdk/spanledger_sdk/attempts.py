"""One attempt: a span, current while its block runs, with what is said of it.

Nothing here raises into the program. What fails is counted and said (guard.py); an attempt that
cannot be recorded still runs.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import (
    Context,
    attach,
    create_key,
    detach,
    get_current,
    get_value,
)
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    StatusCode,
    get_current_span,
)

from spanledger_sdk import names, settings, sources, tracing
from spanledger_sdk.carried import NUMBER_LIMIT, AttemptContext
from spanledger_sdk.details import Details
from spanledger_sdk.guard import complain, say_once
from spanledger_sdk.outcome import (
    COMPLETED,
    Outcome,
    Problem,
    Result,
    outcome_of,
    outcome_of_exit,
    problem_of,
)
from spanledger_sdk.settings import Settings
from spanledger_sdk.spec import Spec
from spanledger_sdk.usage import Cpu, Meter, begin, cpu_since

_KEY: Final = create_key("spanledger-attempt")
_LINKED_CALLER: Final = {names.LINK: names.LINK_CALLER}
_LINKED_RETRY: Final = {names.LINK: names.LINK_RETRY_OF}

CPU_FROM_NS: Final = 1_000_000
"""Attempts that are shorter than a millisecond have no figure of it: their duration says as much,
and to ask and to say it would cost them half as much again."""


class _Process:
    """The process that attempts begin in: another one in a forked child."""

    def __init__(self) -> None:
        self.mark = object()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.change)

    def change(self) -> None:
        self.mark = object()


_process = _Process()

Retry = Callable[["Attempt", BaseException], bool]
"""Whether another attempt follows one that ended with this exception, which then stops here."""


def current_attempt() -> "Attempt | None":
    """The attempt whose block this code runs in, if any."""
    found = get_value(_KEY)
    return found if isinstance(found, Attempt) else None


class Attempt(Details):
    """One try of a run. Enter it (`with` or `async with`), or call `start` and `end`.

    In its block the span is the current one, so what is started there becomes its child. An
    exception that leaves the block ends the attempt, is recorded, and goes on.
    """

    __slots__ = (
        "_attributes", "_meter", "_outcome", "_process", "_queued_at_ns", "_retry", "_start_ns",
        "_token", "_will_retry",
        "number", "previous_span_id", "result", "run_id", "spec",
    )  # fmt: skip

    def __init__(
        self,
        spec: Spec,
        run_id: str,
        number: int = 1,
        *,
        previous_span_id: int = 0,
        queued_at_ns: int | None = None,
        retry: Retry | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        if type(number) is not int or not 1 <= number <= NUMBER_LIMIT:
            complain(f"an attempt's number must be from 1 to {NUMBER_LIMIT}", repr(number))
            number = 1
        self.spec = spec
        self.run_id = run_id
        self.number = number
        self.previous_span_id = previous_span_id
        self.span = INVALID_SPAN
        self.result: Result | None = None
        """How it ended; None before that."""
        self._queued_at_ns = queued_at_ns
        self._retry = retry
        self._start_ns = 0
        self._attributes = attributes
        self._process: object = None
        self._token: Any = None
        self._meter: Meter | Cpu | None = None
        self._outcome: Outcome | None = None
        self._will_retry: bool | None = None

    @property
    def task_id(self) -> str:
        """The task."""
        return self.spec.task_id

    @property
    def trace_id(self) -> str:
        """Of its run: 32 hex digits."""
        return f"{self.spec.trace_id(self.run_id, settings.current()):032x}"

    @property
    def span_id(self) -> int:
        """Of its span; 0 if there is none."""
        return self.span.get_span_context().span_id

    @property
    def retried(self) -> bool:
        """Whether another attempt was announced."""
        return bool(self._will_retry)

    @property
    def context(self) -> AttemptContext:
        """This attempt as a value, to be made somewhere else."""
        return self.spec.context(
            self.run_id, self.number, self.previous_span_id, self._queued_at_ns
        )

    def next_context(self) -> AttemptContext:
        """The attempt after this one: put it into the message that asks for the retry."""
        return self.spec.context(self.run_id, self.number + 1, self.span_id)

    # --- from start to end -------------------------------------------------------------------

    def start(self) -> "Attempt":
        """Start the span without making it the current one; `end` must follow, in any thread."""
        try:
            force = settings.current()
            if not force.disabled:
                self._start(force)
        except Exception as exc:
            complain("an attempt could not be recorded", exc)
        return self

    def start_stepwise(self) -> "Attempt":
        """Start one that works in steps: what its thread does between them is not its own."""
        self.start()
        self._meter = None
        return self

    def _start(self, force: Settings) -> None:
        spec = self.spec
        self._process = _process.mark
        attributes: dict[str, Any] = spec.attributes.copy()
        if self._attributes:
            attributes.update(self._attributes)
        attributes[names.TASK_RUN_ID] = self.run_id
        attributes[names.TASK_ATTEMPT] = number = self.number
        if number > 1:
            attributes[names.TASK_RETRY_OF] = str(number - 1)
        if self._queued_at_ns is not None:
            attributes[names.TASK_QUEUED_AT] = self._queued_at_ns
        trace_id = spec.trace_id(self.run_id, force)
        here = get_current()
        self._start_ns = start_ns = sources.current().now_ns()
        alone = not self.previous_span_id and tracing.SPAN_KEY not in here
        self.span = span = tracing.start_root(
            here, trace_id, spec.task_id, spec.kind, attributes,
            () if alone else self._links(here, trace_id),
            force.sample == "always" if spec.always is None else spec.always,
            start_ns,
        )  # fmt: skip
        if span.is_recording():
            self._meter = begin(spec.usage or force.usage)
        elif span is not INVALID_SPAN:
            say_once(
                'the sampler dropped an attempt (%s): sample="always" records all of them',
                spec.task_id,
            )

    def _links(self, here: Context, trace_id: int) -> Sequence[Link]:
        links: tuple[Link, ...] = ()
        if self.previous_span_id:
            links = (Link(tracing.span_in(trace_id, self.previous_span_id), _LINKED_RETRY),)
        if tracing.SPAN_KEY in here:
            caller = get_current_span(here).get_span_context()
            if caller.is_valid:
                links = (*links, Link(caller, _LINKED_CALLER))
        return links

    def end(self, error: BaseException | None = None) -> None:
        """End it: with what was said of its outcome, else with the exception, else well."""
        if self.result is not None:
            return
        outcome = self._outcome
        try:
            if outcome is None:
                self._outcome = outcome = COMPLETED if error is None else outcome_of(error)
            self.result = outcome.result
            if self.span is not INVALID_SPAN and self._process is _process.mark:
                self._end(outcome)  # else it runs on in the process that forked this one
        except Exception as exc:
            complain("the end of an attempt could not be recorded", exc)

    def _end(self, outcome: Outcome) -> None:
        span, now_ns = self.span, sources.current().now_ns()
        try:
            if span.is_recording():
                meter = self._meter
                if isinstance(meter, Meter):
                    span.set_attributes(meter.read())
                elif meter and now_ns - self._start_ns >= CPU_FROM_NS:
                    for name, value in cpu_since(meter).items():  # cheaper than all at once
                        span.set_attribute(name, value)
                if outcome.result != "completed":
                    self._describe(span, outcome)
                if self._will_retry is not None:
                    span.set_attribute(names.TASK_WILL_RETRY, self._will_retry)
        finally:
            span.end(now_ns)

    @staticmethod
    def _describe(span: Span, outcome: Outcome) -> None:
        result, problem = outcome
        said: dict[str, Any] = {names.TASK_RESULT: result}
        if problem is not None:
            said[names.ERROR_TYPE] = problem.type
            event = {
                names.EXCEPTION_TYPE: problem.type,
                names.EXCEPTION_MESSAGE: problem.message,
            }
            if problem.stack:
                event[names.EXCEPTION_STACKTRACE] = problem.stack
            span.add_event(names.EXCEPTION_EVENT, event)
        span.set_attributes(said)
        if result in ("failed", "timed_out"):
            text = result if problem is None else f"{problem.type}: {problem.message}"
            span.set_status(StatusCode.ERROR, text)

    def __enter__(self) -> "Attempt":
        self.start()
        if self.span is not INVALID_SPAN:
            self.enter()
        return self

    def enter(self) -> None:
        """Make it the current one here; `leave` must follow, in the same context."""
        try:
            inside = {**get_current(), tracing.SPAN_KEY: self.span, _KEY: self}
            self._token = attach(Context(inside))
        except Exception as exc:
            complain("an attempt could not be made the current one", exc)

    def leave(self) -> None:
        """What was current before `enter` is current again."""
        token, self._token = self._token, None
        if token is not None:
            detach(token)  # never raises

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self.leave()
        goes_on = False
        if error is not None and self._retry is not None:
            try:
                goes_on = self._retry(self, error)
                self._will_retry = goes_on
            except Exception as exc:  # a predicate of the program's, or ours
                complain("whether to retry could not be decided", exc)
        self.end(error)
        return goes_on

    async def __aenter__(self) -> "Attempt":
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self.__exit__(kind, error, trace)

    # --- its outcome, where no exception says it -----------------------------------------------

    def fail(self, why: BaseException | str, *, kind: str = "", stack: str = "") -> None:
        """It fails, though no exception leaves the block.

        Args:
            why: an exception, or a message.
            kind: the type of the error, for a message.
            stack: what tells where, for a message.
        """
        self._say("failed", why, kind, stack)

    def time_out(self, why: BaseException | str = "", *, kind: str = "") -> None:
        """It was ended for taking too long."""
        self._say("timed_out", why, kind)

    def cancel(self, why: BaseException | str = "", *, kind: str = "") -> None:
        """It was given up on purpose."""
        self._say("cancelled", why, kind)

    def skip(self, why: str = "") -> None:
        """It was not needed."""
        self._say("skipped", why)

    def complete(self) -> None:
        """It is well, even if an exception leaves the block."""
        self._outcome = Outcome("completed")

    def process_exit(self, code: int, stderr_tail: str = "") -> None:
        """It was a process: code as `subprocess` gives it, negative for a signal.

        The exit code becomes an attribute; the last line of what it said, the message.
        """
        try:
            self._outcome = outcome_of_exit(code, stderr_tail)
            self.set({names.PROCESS_EXIT_CODE: code if code >= 0 else 128 - code})
        except Exception as exc:
            complain("the exit of a process could not be recorded", exc)

    def _say(
        self, result: Result, why: BaseException | str, kind: str = "", stack: str = ""
    ) -> None:
        try:
            if isinstance(why, BaseException):
                problem: Problem | None = problem_of(why)
            else:
                problem = Problem(kind or result, str(why), stack) if why or kind else None
            self._outcome = Outcome(result, problem)
        except Exception as exc:
            complain("an outcome could not be recorded", exc)

    def will_retry(self, delay_s: float | None = None) -> AttemptContext:
        """Announce another attempt; returns what to put into the message that asks for it."""
        self._will_retry = True
        if delay_s is not None:
            self.set({names.TASK_RETRY_DELAY: float(delay_s)})
        return self.next_context()

"""A run: one execution of a task with all its attempts, in this process or in several."""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from opentelemetry.context import get_current
from opentelemetry.trace import Link, SpanKind, get_current_span

from spanledger_sdk import names, settings, sources, tracing
from spanledger_sdk.attempts import Attempt, Retry
from spanledger_sdk.carried import AttemptContext
from spanledger_sdk.guard import complain
from spanledger_sdk.settings import Sample, Usage
from spanledger_sdk.spec import Spec, spec_of

Kinds = type[BaseException] | tuple[type[BaseException], ...]
Delay = float | Callable[[int], float]
"""Seconds until the next attempt, or a function of the number of the failed one."""


class Run:
    """Counts attempts on, and links each to the one before.

    As a context manager it does nothing but name the block; it has no span of its own.
    """

    __slots__ = ("_attributes", "_first", "_last", "run_id", "spec")

    def __init__(
        self,
        spec: Spec,
        run_id: str | None = None,
        context: AttemptContext | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.run_id = context.run_id if context else str(run_id or sources.current().new_run_id())
        self._first = context
        self._attributes = attributes
        self._last: Attempt | None = None

    @property
    def context(self) -> AttemptContext:
        """The next attempt, as a value that goes into a message."""
        if self._last is not None:
            return self._last.next_context()
        return self._first or self.spec.context(self.run_id, 1)

    def attempt(self, number: int | None = None, *, retry: Retry | None = None) -> Attempt:
        """The next attempt.

        Args:
            number: of the attempt, where the program counts; the next one by default.
            retry: decides whether another one follows; then the exception stops at the block.
        """
        last, first = self._last, self._first
        previous, queued, following = 0, None, 1
        if last is not None:
            previous, following = last.span_id, last.number + 1
        elif first is not None:
            previous = int(first.previous_span_id or "0", 16)
            queued, following = first.queued_at_ns, first.attempt
        self._last = made = Attempt(
            self.spec, self.run_id, following if number is None else number,
            previous_span_id=previous, queued_at_ns=queued, retry=retry,
            attributes=self._attributes,
        )  # fmt: skip
        return made

    def attempts(
        self, max_attempts: int = 3, *, retry_on: Kinds = Exception, delay_s: Delay = 1.0
    ) -> "Attempts":
        """Attempts until one ends otherwise than by `retry_on`, `max_attempts` at most.

        Iterate (`for` or `async for`) and enter each. All but the last swallow the exception.
        """
        return Attempts(self, max_attempts, retry_on, delay_s)

    def __enter__(self) -> "Run":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def __aenter__(self) -> "Run":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Attempts:
    """The attempts of a run, one after the other, with a pause between."""

    def __init__(self, run: Run, max_attempts: int, retry_on: Kinds, delay_s: Delay) -> None:
        self._run = run
        self._max = max_attempts
        self._retry_on = retry_on
        self._delay_s = delay_s
        self._latest: Attempt | None = None
        self._pause_until_next_s = 0.0

    def __iter__(self) -> "Attempts":
        return self

    def __next__(self) -> Attempt:
        if self._latest is not None:
            if not self._latest.retried:
                raise StopIteration
            time.sleep(self._pause_until_next_s)
        return self._next()

    def __aiter__(self) -> "Attempts":
        return self

    async def __anext__(self) -> Attempt:
        if self._latest is not None:
            if not self._latest.retried:
                raise StopAsyncIteration
            await asyncio.sleep(self._pause_until_next_s)
        return self._next()

    def _next(self) -> Attempt:
        self._latest = made = self._run.attempt(retry=self._decide)
        return made

    def _decide(self, attempt: Attempt, error: BaseException) -> bool:
        again = attempt.number < self._max and isinstance(error, self._retry_on)
        if again:
            self._pause_until_next_s = pause_s = self._pause_s(attempt)
            attempt.set({names.TASK_RETRY_DELAY: pause_s})
        return again

    def _pause_s(self, attempt: Attempt) -> float:
        try:
            pause = self._delay_s
            return max(float(pause(attempt.number) if callable(pause) else pause), 0.0)
        except Exception as exc:
            complain("the delay before a retry could not be computed, there is none", exc)
            return 0.0


def run(
    task_id: str,
    run_id: str | None = None,
    *,
    context: AttemptContext | None = None,
    attributes: Mapping[str, Any] | None = None,
    **said: Any,
) -> Run:
    """A run of a task: a new one, the one of this id, or the one of a carried context.

    Args:
        task_id: what is done.
        run_id: of the run; made if it is not given.
        context: from a message; its run id and number count.
        attributes: further ones, set at each start.
        said: as for `Spec`: name, group_id, queue, max_attempts, tenant, sample, usage, kind.
    """
    return Run(Spec(task_id, **said), run_id, context, attributes)


def attempt(
    task_id: str,
    run_id: str | None = None,
    *,
    number: int | None = None,
    context: AttemptContext | None = None,
    queued_at_ns: int | None = None,
    previous_span_id: int = 0,
    attributes: Mapping[str, Any] | None = None,
    name: str | None = None,
    group_id: str | None = None,
    queue: str | None = None,
    max_attempts: int | None = None,
    tenant: str | None = None,
    sample: Sample | None = None,
    usage: Usage | None = None,
    kind: SpanKind | None = None,
) -> Attempt:
    """One attempt of a run, where only one is made here.

    Args:
        task_id: what is done.
        run_id: of the run; made if it is not given.
        number: from 1.
        context: from a message, in place of run id, number and span of the attempt before.
        queued_at_ns: when it was put into its queue, since 1970.
        previous_span_id: of the attempt before, to link to.
        attributes: further ones, set at the start.
        name, group_id, queue, max_attempts, tenant, sample, usage, kind: as for `Spec`.
    """
    said = (task_id, name, group_id, queue, max_attempts, tenant, sample, usage, kind)
    try:
        spec = spec_of(*said)
    except TypeError:  # a value that cannot be looked up, such as a list
        spec = spec_of.__wrapped__(*said)
    if context is not None:
        return resumed(spec, context, attributes).attempt(number)
    return Attempt(
        spec, str(run_id or sources.current().new_run_id()), number or 1,
        previous_span_id=previous_span_id, queued_at_ns=queued_at_ns, attributes=attributes,
    )  # fmt: skip


def resumed(
    spec: Spec, context: AttemptContext, attributes: Mapping[str, Any] | None = None
) -> Run:
    """The run of a carried context; what the context says wins over what the task says."""
    return Run(spec.with_context(context), None, context, attributes)


_QUEUED: Final = SpanKind.PRODUCER


def enqueue(
    task_id: str,
    run_id: str | None = None,
    *,
    context: AttemptContext | None = None,
    attributes: Mapping[str, Any] | None = None,
    **said: Any,
) -> AttemptContext:
    """Say that a run waits for its first attempt; returns what to put into the message.

    A short PRODUCER span in the run's trace makes the run `queued` until an attempt begins.
    """
    queued = Run(Spec(task_id, **said), run_id, context)
    now_ns = sources.current().now_ns()
    found = queued.context.changed(queued_at_ns=now_ns)
    try:
        if not settings.current().disabled:
            _announce(queued.spec, found, now_ns, attributes or {})
    except Exception as exc:
        complain("a queued run could not be recorded", exc)
    return found


def _announce(spec: Spec, context: AttemptContext, now_ns: int, more: Mapping[str, Any]) -> None:
    attributes = {
        **spec.attributes,
        **more,
        names.TASK_RUN_ID: context.run_id,
        names.TASK_QUEUED_AT: now_ns,
    }
    here = get_current()
    caller = get_current_span(here).get_span_context()
    links = [Link(caller, {names.LINK: names.LINK_CALLER})] if caller.is_valid else []
    always = bool(settings.current().sample == "always" if spec.always is None else spec.always)
    tracing.start_root(
        here,
        context.trace_id(spec.tenant),
        spec.task_id,
        _QUEUED,
        attributes,
        links,
        always,
        now_ns,
    ).end(now_ns)

"""`@task`: each call of a function is a run, made of attempts.

For functions, coroutine functions, generators and asynchronous generators. A generator's attempt
lasts from its first step to its end; it is the current one only while the generator itself works,
never between its steps, where the program's own spans go on as they were.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, ParamSpec, TypeVar, cast, overload

from spanledger_sdk.attempts import Attempt
from spanledger_sdk.carried import AttemptContext
from spanledger_sdk.guard import complain
from spanledger_sdk.runs import Attempts, Delay, Kinds, Run, resumed
from spanledger_sdk.spec import Spec

P = ParamSpec("P")
R = TypeVar("R")
_resumed: Final[ContextVar[list[AttemptContext]]] = ContextVar("spanledger_sdk_resumed")


@contextmanager
def resume(context: AttemptContext) -> Iterator[None]:
    """In the block, the first call of the context's task goes on with its run and number."""
    token = _resumed.set([context])
    try:
        yield
    finally:
        _resumed.reset(token)


class _Policy:
    """How the calls of one function become runs."""

    def __init__(
        self,
        spec: Spec,
        run_id: Callable[..., str] | None,
        retry_on: Kinds,
        delay_s: Delay,
    ) -> None:
        self.spec = spec
        self._run_id = run_id
        self._max = spec.max_attempts or 1
        self._retry_on = retry_on
        self._delay_s = delay_s

    def new_run(self, args: Any, kwargs: Any) -> Run:
        """The run of one call: carried, or a new one."""
        waiting = _resumed.get(None)
        if waiting and waiting[0].task_id == self.spec.task_id:
            return resumed(self.spec, waiting.pop())
        return Run(self.spec, self._id_of(args, kwargs))

    def _id_of(self, args: Any, kwargs: Any) -> str | None:
        if self._run_id is None:
            return None
        try:
            return str(self._run_id(*args, **kwargs))
        except Exception as exc:
            complain("the run id of a call could not be computed, one is made", exc)
            return None

    @property
    def once(self) -> bool:
        """Whether nothing is tried again: then there is no loop to pay for."""
        return self._max == 1

    def attempts(self, args: Any, kwargs: Any) -> Attempts:
        """The attempts of one call."""
        return self.new_run(args, kwargs).attempts(
            self._max, retry_on=self._retry_on, delay_s=self._delay_s
        )


@overload
def task(task_id: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def task(
    task_id: str | None = None,
    *,
    run_id: Callable[..., str] | None = None,
    retry_on: Kinds = Exception,
    delay_s: Delay = 1.0,
    **said: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def task(
    task_id: Any = None,
    *,
    run_id: Callable[..., str] | None = None,
    retry_on: Kinds = Exception,
    delay_s: Delay = 1.0,
    **said: Any,
) -> Any:
    """Make each call of a function a run of a task.

    Args:
        task_id: by default the module and qualified name of the function.
        run_id: a function of the call's arguments that gives the run's id.
        retry_on: exceptions after which it is tried again, `max_attempts` times at most. What is
            no `Exception` (cancellation, Ctrl-C) is only retried where it is named here.
            Generators are tried once: nobody can take back what they have given.
        delay_s: seconds between attempts, or a function of the failed one's number.
        said: as for `run`: name, group_id, queue, max_attempts (1), tenant, sample, usage, kind,
            attributes.
    """
    if callable(task_id) or isinstance(task_id, classmethod):
        return task()(task_id)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if isinstance(function, classmethod | staticmethod):
            return cast(Callable[P, R], type(function)(decorate(function.__func__)))
        spec = Spec(task_id or _name_of(function), **said)
        policy = _Policy(spec, run_id, retry_on, delay_s)
        return cast(Callable[P, R], _wrapper_of(function)(function, policy))

    return decorate


def _name_of(function: Callable[..., Any]) -> str:
    """Of a function, of the one behind a `functools.partial`, or of a callable object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _wrapper_of(function: Callable[..., Any]) -> Callable[[Any, _Policy], Any]:
    if inspect.iscoroutinefunction(function):
        return _coroutine
    if inspect.isasyncgenfunction(function):
        return _async_generator
    if inspect.isgeneratorfunction(function):
        return _generator
    return _plain


def _plain(function: Callable[..., Any], policy: _Policy) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if policy.once:
            with policy.new_run(args, kwargs).attempt():
                return function(*args, **kwargs)
        for attempt in policy.attempts(args, kwargs):
            with attempt:
                return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], policy: _Policy) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if policy.once:
            with policy.new_run(args, kwargs).attempt():
                return await function(*args, **kwargs)
        async for attempt in policy.attempts(args, kwargs):
            with attempt:
                return await function(*args, **kwargs)

    return call


def _generator(function: Callable[..., Any], policy: _Policy) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        attempt = policy.new_run(args, kwargs).attempt().start_stepwise()
        try:
            result = yield from _Steps(attempt, function(*args, **kwargs))
        except BaseException as exc:
            attempt.end(exc)
            raise
        attempt.end()
        return result

    return call


class _Steps(Generator[Any, Any, Any]):
    """A generator each of whose steps runs inside the attempt."""

    def __init__(self, attempt: Attempt, inner: Generator[Any, Any, Any]) -> None:
        self._attempt = attempt
        self._inner = inner

    def send(self, value: Any) -> Any:
        self._attempt.enter()
        try:
            return self._inner.send(value)
        finally:
            self._attempt.leave()

    def throw(self, *error: Any) -> Any:
        self._attempt.enter()
        try:
            return self._inner.throw(*error)
        finally:
            self._attempt.leave()

    def close(self) -> None:
        self._attempt.enter()
        try:
            self._inner.close()
        finally:
            self._attempt.leave()


def _async_generator(function: Callable[..., Any], policy: _Policy) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        attempt = policy.new_run(args, kwargs).attempt().start_stepwise()
        inner = function(*args, **kwargs)
        step: Any = None  # what to do next: send a value, or throw an exception
        try:
            while True:
                attempt.enter()
                try:
                    if isinstance(step, _Thrown):
                        value = await inner.athrow(step.error)
                    else:
                        value = await inner.asend(step)
                except StopAsyncIteration:
                    break
                finally:
                    attempt.leave()
                try:
                    step = yield value
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as exc:
                    step = _Thrown(exc)
        except BaseException as exc:
            attempt.end(exc)
            raise
        attempt.end()

    return call


class _Thrown:
    """An exception that was thrown into a generator."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

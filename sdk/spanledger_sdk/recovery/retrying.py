"""`with_recovery`: each call of a function is a run, tried again as the policy says.

`tenacity` goes round and waits; attempts, decisions and remedies are ours.
"""

import asyncio
import functools
import inspect
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from os import PathLike
from typing import Any, Final, ParamSpec, TypeVar, cast

from opentelemetry import trace
from tenacity import AsyncRetrying, Retrying, retry_if_result

from spanledger_sdk import names, settings
from spanledger_sdk.attempts import Attempt
from spanledger_sdk.guard import complain
from spanledger_sdk.recovery.asking import Policies
from spanledger_sdk.recovery.circuit import Circuit, CircuitOpen, circuit_of
from spanledger_sdk.recovery.kinds import kind_of, retry_after_of
from spanledger_sdk.recovery.remedies import CIRCUIT, EXTEND, RETRY, Callback, Remedies, record
from spanledger_sdk.recovery.rules import Case, Decision, retry_after_s
from spanledger_sdk.runs import Run
from spanledger_sdk.spec import Spec

P = ParamSpec("P")
R = TypeVar("R")
_AGAIN: Final = object()
_SPREAD_S: Final = 0.05
"""Over so long those are spread who wait for a circuit."""
_timeout: Final[ContextVar[float | None]] = ContextVar("spanledger_sdk_timeout", default=None)
_policies: Policies | None = None


def attempt_timeout_s() -> float | None:
    """How long the attempt that this code runs in may take, by the policy; None: no bound.

    A coroutine is ended by then; a function has to heed it itself.
    """
    return _timeout.get()


def policies() -> Policies:
    """Those of the settings in force."""
    global _policies  # noqa: PLW0603 - one for the process, as the settings are
    if _policies is None:
        _policies = Policies(settings.current())
    return _policies


def go_by(given: Policies | None) -> None:
    """Go by these; None: by those of the settings in force when they are needed next."""
    global _policies  # noqa: PLW0603
    _policies = given


def with_recovery(
    task_id: str | None = None,
    *,
    component: str | None = None,
    environment: str | None = None,
    run_id: Callable[..., str] | None = None,
    temporary: Sequence[str | PathLike[str]] = (),
    reconnect: Callback | None = None,
    renew_credentials: Callback | None = None,
    actions: Mapping[str, Callback] | None = None,
    **said: Any,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make each call of a function, or coroutine function, a run that is retried by policy.

    Args:
        task_id: by default the module and qualified name of the function.
        component: what fails if it fails; by default the `service.name` of the program. It has
            one circuit.
        environment: by default the `deployment.environment.name` of the program.
        run_id: a function of the call's arguments that gives the run's id.
        temporary: files, and folders whose content, `clean_temporary` may remove.
        reconnect, renew_credentials: done when a policy names them, with the exception.
        actions: further ones, by the names that policies give them.
        said: as for `run`: name, group_id, queue, tenant, sample, usage, kind, attributes.

    Raises (the function that is made): what the last attempt raised; `CircuitOpen`.
    """
    given = {"reconnect": reconnect, "renew_credentials": renew_credentials, **(actions or {})}
    callbacks = {name: callback for name, callback in given.items() if callback is not None}
    remedies = Remedies(tuple(temporary), callbacks)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        spec = Spec(task_id or f"{function.__module__}.{function.__qualname__}", **said)

        def recovery(args: Any, kwargs: Any) -> _Recovery:
            found = None if run_id is None else str(run_id(*args, **kwargs))
            return _Recovery(Run(spec, found), remedies, component, environment)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def waited(*args: Any, **kwargs: Any) -> Any:
                one = recovery(args, kwargs)
                return await AsyncRetrying(**one.rounds)(one.once_awaited, function, args, kwargs)

            return cast("Callable[P, R]", waited)

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> Any:
            one = recovery(args, kwargs)
            return Retrying(**one.rounds)(one.once, function, args, kwargs)

        return called

    return decorate


class _Recovery:
    """One run: what its attempts came to, and what comes next."""

    def __init__(
        self, run: Run, remedies: Remedies, component: str | None, environment: str | None
    ) -> None:
        resource = _resource()
        self._run = run
        self._remedies = remedies
        self._component = component or str(resource.get("service.name", ""))
        self._environment = environment or str(
            resource.get("deployment.environment.name")
            or resource.get("deployment.environment", "")
        )
        self._circuit: Circuit = circuit_of(self._component)
        self._begun_s = time.monotonic()
        self._pause_s = 0.0
        self._decision: Decision | None = None
        values = policies().rules.settings(self._case())
        self._timeout_s: float | None = values["timeout.attempt_s"] or None
        self._most_s: float = values["max_elapsed_s"]

    @property
    def rounds(self) -> dict[str, Any]:
        """How `tenacity` goes round: as long as an attempt says so, after its pause."""
        return {
            "retry": retry_if_result(lambda result: result is _AGAIN),
            "wait": lambda state: self._pause_s,
        }

    def once(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """One attempt; `_AGAIN` if another follows."""
        if not self._admitted():
            return _AGAIN
        token = _timeout.set(self._timeout_s)
        try:
            with self._run.attempt(retry=self._goes_on) as attempt:
                result = function(*args, **kwargs)
                self._well(attempt)
                return result
        finally:
            _timeout.reset(token)
        return _AGAIN

    async def once_awaited(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """One attempt of a coroutine, within its bound of time."""
        if not self._admitted():
            return _AGAIN
        token = _timeout.set(self._timeout_s)
        try:
            with self._run.attempt(retry=self._goes_on) as attempt:
                async with asyncio.timeout(self._timeout_s):
                    result = await function(*args, **kwargs)
                self._well(attempt)
                return result
        finally:
            _timeout.reset(token)
        return _AGAIN

    def _well(self, attempt: Attempt) -> None:
        self._circuit.succeeded()
        self._tell_retry(attempt, well=True)

    def _tell_retry(self, attempt: Attempt, *, well: bool) -> None:
        """What became of the retry that this attempt is."""
        if self._decision is not None:
            record(
                attempt,
                RETRY,
                "succeeded" if well else "failed",
                self._pause_s,
                **{
                    names.RECOVERY_CATEGORY: self._decision.category,
                    names.RECOVERY_REASON: self._decision.reason,
                },
            )

    def _case(self, error: BaseException | None = None, attempts: int = 1) -> Case:
        kind = None if error is None else kind_of(error)
        asked = None if error is None else retry_after_of(error)
        return Case(
            category=kind.category if kind else "unknown",
            transient=kind.transient if kind else None,
            task=self._run.spec.task_id, task_name=self._run.spec.name or "",
            component=self._component, environment=self._environment, attempts=attempts,
            elapsed_s=time.monotonic() - self._begun_s,
            retry_after_s=None if asked is None else retry_after_s(asked, time.time()),
        )  # fmt: skip

    def _goes_on(self, attempt: Attempt, error: BaseException) -> bool:
        """Whether another attempt follows; remedies are tried before that is said."""
        self._tell_retry(attempt, well=False)
        if not isinstance(error, Exception):
            self._circuit.ended()
            return False  # cancellation, Ctrl-C: nobody wants another one
        case = self._case(error, attempt.number)
        opened = self._circuit.failed(
            policies().rules.settings(case), counts=case.transient is not False
        )
        if opened:
            record(attempt, CIRCUIT, "succeeded", 0.0, **{names.RECOVERY_CATEGORY: case.category})
        self._decision = decision = policies().decide(case, error)
        goes_on = self._remedied(decision, attempt, error)
        if goes_on:
            self._pause_s = self._pause(decision)
            self._extend(decision, attempt)
            attempt.set({names.TASK_RETRY_DELAY: self._pause_s})
        return goes_on

    def _remedied(self, decision: Decision, attempt: Attempt, error: BaseException) -> bool:
        if not (decision.retry or decision.repair):
            return False
        actions = [name for name in decision.actions if name != EXTEND]
        helped = self._remedies.perform(actions, attempt, error, decision.helped)
        return decision.retry or helped

    def _extend(self, decision: Decision, attempt: Attempt) -> None:
        before_s, self._timeout_s = self._timeout_s, decision.timeout_s
        if before_s and decision.timeout_s and decision.timeout_s > before_s:
            record(attempt, EXTEND, "succeeded", 0.0)

    def _pause(self, decision: Decision) -> float:
        """The policy's pause, and at least until the circuit lets one call through again."""
        return max(decision.delay_s, self._circuit.closed_in_s())

    def _admitted(self) -> bool:
        """Whether the circuit lets an attempt be made; else, if this is a retry, it waits on.

        Raises:
            CircuitOpen: it lets none, and this would be the first; or the run's time is over.
        """
        try:
            self._circuit.require()
            return True
        except CircuitOpen as exc:
            elapsed_s = time.monotonic() - self._begun_s
            if self._decision is None or 0 < self._most_s < elapsed_s + exc.retry_after_s:
                raise
            self._pause_s = exc.retry_after_s + random.random() * _SPREAD_S
            return False


def _resource() -> Mapping[str, Any]:
    """What the program says of itself to OpenTelemetry."""
    try:
        found = getattr(trace.get_tracer_provider(), "resource", None)
        return {} if found is None else dict(found.attributes)
    except Exception as exc:
        complain("the program's resource could not be read", exc)
        return {}

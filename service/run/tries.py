"""The tries of a command: one after the other until one is well, each recorded as an attempt.

What is recorded never decides what is done: the SDK holds its own troubles back (`spanledger_sdk`,
guard), and keeps on disk what could not be sent.
"""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.run.process import Command, End, run
from service.run.signals import Signals
from spanledger_sdk import Attempt, Run, names

_RSS_UNIT_BYTES: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a command is tried, and how long is waited before it is tried again."""

    retries: int
    delay_s: float
    factor: float
    longest_delay_s: float

    def delay_after_s(self, failed: int) -> float:
        """The pause after so many failed tries."""
        try:
            return min(self.delay_s * self.factor ** (failed - 1), self.longest_delay_s)
        except OverflowError:
            return self.longest_delay_s


def run_tries(
    command: Command, task: Run, patience: Patience, signals: Signals, first: int = 1
) -> End:
    """Try it until it is well, retries are used up, or a signal told us to stop; the last end.

    Args:
        first: number of the first try, where others were made elsewhere.
    """
    for failed in range(1, patience.retries + 2):
        delay_s = patience.delay_after_s(failed)
        attempt = task.attempt(first if failed == 1 else None)
        end = _try(command, attempt, signals, delay_s if failed <= patience.retries else None)
        if end.exit_code == 0 or failed > patience.retries or not signals.wait_to_try(delay_s):
            return end
    raise AssertionError("the last try returns")


def _try(command: Command, attempt: Attempt, signals: Signals, delay_s: float | None) -> End:
    """Make one try and record it; `delay_s` until the next one, None if there will be none."""
    with attempt:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        end = run(command, signals, _trace_context())
        _describe(attempt, end, signals)
        _measure(attempt, before)
        if delay_s is not None and end.exit_code != 0 and not signals.stop:
            attempt.will_retry(delay_s)
    return end


def _describe(attempt: Attempt, end: End, signals: Signals) -> None:
    said = end.stderr.rpartition("\n")[2]
    if end.could_not_start is not None:
        attempt.process_exit(end.code)
        attempt.fail(end.could_not_start)
    elif end.timed_out:
        attempt.process_exit(end.code)
        limit = f"not done after {signals.timeout_s:g} s"
        attempt.time_out(f"{limit}: {said}" if said else limit, kind="timeout")
    elif signals.stop and end.code != 0:
        attempt.process_exit(end.code)
        attempt.cancel(f"stopped by {signals.stop_name}", kind=signals.stop_name)
    else:
        attempt.process_exit(end.code, end.stderr)


def _measure(attempt: Attempt, before: resource.struct_rusage) -> None:
    """What the process and those it waited for used; the peak is that of all tries so far."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    attempt.set({names.TASK_USAGE_CPU: round(used_s, 6)})
    if after.ru_maxrss > before.ru_maxrss:
        attempt.set({names.TASK_USAGE_PEAK_MEMORY: after.ru_maxrss * _RSS_UNIT_BYTES})


def _trace_context() -> Mapping[bytes, bytes]:
    """TRACEPARENT of the attempt: spans of a command that heeds it are its children."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return {name.upper().encode(): value.encode() for name, value in carrier.items()}

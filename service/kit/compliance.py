"""Does an instrumented component record identity, outcome, error and retries properly?

Each check looks at the attempts that it concerns, and gives the share that is as it should be. The
score is the mean of these shares by the checks' weights, 0 to 100; a check that concerns none of
the attempts does not count.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from events import names
from events.codec import decode_context, decode_event
from events.schema import Span
from projections.trial import Row, TriedAttempt

FAILED: Final = ("failed", "timed_out", "abandoned")
EXAMPLES: Final = 5


class Seen(NamedTuple):
    """An attempt as it was recorded. `inferred`: fields that were concluded, not said."""

    task_id: str
    run_id: str
    number: int
    status: str
    inferred: frozenset[str]
    ended: bool
    error_type: str | None
    message: str | None
    has_stack: bool
    component: str | None
    will_retry: bool | None
    place: str


class Check(NamedTuple):
    """One thing that is asked of attempts. `of` gives None where it concerns an attempt not."""

    id: str
    weight: int
    sentence: str
    fix: str
    of: Callable[[Seen, Sequence[Seen]], bool | None]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    check: str
    ok: bool
    passed: int
    of: int
    says: str
    fix: str | None
    examples: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What all checks found."""

    score: float
    attempts: int
    runs: int
    items: list[Finding]


def _failed(one: Seen, run: Sequence[Seen]) -> bool:
    return one.status in FAILED


def _is_last(one: Seen, run: Sequence[Seen]) -> bool:
    return one.number == max(other.number for other in run)


CHECKS: Final = (
    Check("identity.task", 20, "each attempt says its task",
          "Set the attribute `task.id` when the span starts; the same for all runs of a task.",
          lambda one, _: bool(one.task_id) and "task_id" not in one.inferred),
    Check("identity.run", 10, "each attempt says its run",
          "Set `task.run.id`: the same for all tries of one execution, another for the next.",
          lambda one, _: bool(one.run_id) and "run_id" not in one.inferred),
    Check("identity.component", 5, "the sender has a name",
          "Set `service.name` in the resource.",
          lambda one, _: bool(one.component) and not str(one.component).startswith("unknown")),
    Check("retries.number", 15, "each attempt says its number",
          "Set `task.attempt`, from 1, when the span starts.",
          lambda one, _: not one.inferred & {"attempt", "attempt_moved"}),
    Check("retries.order", 10, "no number of a run is missing or twice",
          "Count on from the attempt before: pass its number on with the message of the retry.",
          lambda one, run: None if len(run) == 1 and one.number == 1
          else sorted(other.number for other in run) == [*range(1, len(run) + 1)]),
    Check("retries.announced", 5, "a failure says whether another attempt follows",
          "Set `task.will_retry` on the attempt that failed.",
          lambda one, run: None if not _failed(one, run) or _is_last(one, run)
          else one.will_retry is True),
    Check("outcome.end", 10, "each attempt ends",
          "End the span in a `finally`, also when the worker is told to stop.",
          lambda one, _: one.ended),
    Check("outcome.result", 10, "each end says how it ended",
          "Set `task.result`, or the span's status: ERROR for a failure, OK or none if it is well.",
          lambda one, _: None if not one.ended
          else one.status != "unknown" and "status" not in one.inferred),
    Check("error.type", 10, "each failure names its error",
          "Record the exception: event `exception` with `exception.type`, or `error.type`.",
          lambda one, run: bool(one.error_type) if _failed(one, run) else None),
    Check("error.message", 5, "each failure has a message",
          "Set `exception.message`, or the description of the span's status.",
          lambda one, run: bool(one.message) if _failed(one, run) else None),
    Check("error.stack", 5, "each failure has a stack trace",
          "Set `exception.stacktrace`; `span.record_exception(error)` does.",
          lambda one, run: one.has_stack if _failed(one, run) else None),
)  # fmt: skip


def report(attempts: Sequence[Seen]) -> Report:
    """What the checks find in some attempts."""
    runs: defaultdict[tuple[str, str], list[Seen]] = defaultdict(list)
    for one in attempts:
        runs[one.task_id, one.run_id].append(one)
    items, got, wanted = [], 0.0, 0
    for check in CHECKS:
        told = [(one, check.of(one, runs[one.task_id, one.run_id])) for one in attempts]
        concerned = [(one, well) for one, well in told if well is not None]
        if not concerned:
            continue
        wrong = [one.place for one, well in concerned if not well]
        passed = len(concerned) - len(wrong)
        got += check.weight * passed / len(concerned)
        wanted += check.weight
        items.append(
            Finding(
                check=check.id,
                ok=not wrong,
                passed=passed,
                of=len(concerned),
                says=check.sentence,
                fix=check.fix if wrong else None,
                examples=wrong[:EXAMPLES],
            )
        )
    score = round(100 * got / wanted, 1) if wanted else 0.0
    return Report(score=score, attempts=len(attempts), runs=len(runs), items=items)


def seen_in_rows(tried: Iterable[TriedAttempt], rows: Iterable[Row]) -> list[Seen]:
    """Attempts that rules found in spans, with what these spans say."""
    spans: dict[tuple[str, str], tuple[Span, Mapping[str, Any]]] = {}
    for row in rows:
        event = decode_event(row.row)
        if isinstance(event, Span):
            resource = decode_context(row.context).resource_attributes
            spans[event.trace_id.hex(), event.span_id.hex()] = event, resource
    return [_of_span(one, *spans.get((one.trace_id, one.span_id), (None, {}))) for one in tried]


def _of_span(one: TriedAttempt, span: Span | None, resource: Mapping[str, Any]) -> Seen:
    events = () if span is None else span.events
    stacks = [event.attributes.get(names.EXCEPTION_STACKTRACE) for event in events]
    component = resource.get(names.SERVICE_NAME)
    concluded = {*one.inferred, *(["run_id"] if one.run_id == one.trace_id else [])}
    return Seen(
        one.task_id, one.run_id, one.attempt, one.status, frozenset(concluded),
        one.ended_ns is not None, one.error_type, one.error_message, any(stacks),
        None if component is None else str(component), one.will_retry,
        f"{one.task_id} {one.run_id} attempt {one.attempt} (span {one.span_id})",
    )  # fmt: skip


def seen_in_answer(records: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Attempts as the API lists them, which do not say whether another one was announced."""
    found = []
    for one in records:
        error = one.get("error") or {}
        concluded = {*(one.get("inferred") or ())}
        if one["run_id"] == one.get("trace_id"):
            concluded.add("run_id")
        place = f"{one['task_id']} {one['run_id']} attempt {one['attempt']}"
        found.append(
            Seen(
                one["task_id"],
                one["run_id"],
                one["attempt"],
                one["status"],
                frozenset(concluded),
                one.get("ended_ns") is not None,
                error.get("type"),
                error.get("message"),
                error.get("stack_hash") is not None,
                one.get("component"),
                True,
                place,
            )
        )
    return found

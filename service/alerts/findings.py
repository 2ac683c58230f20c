"""What rules find in samples of the views: pure functions, one for each kind of rule.

A finding says of one group (a task, an error pattern, …) that its rule's condition holds now, by
its labels. Whatever is not found does not hold.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from events.times import human_duration
from projections.runs import words
from service.alerts import rule as rules
from service.alerts.rule import Rule
from service.alerts.samples import FAILURES, Ended, Pattern, Samples, Wait

_EXAMPLES: Final = 5
_MESSAGE_CHARACTERS: Final = 300
_OF_ERROR: Final = ("type", "category", "transient", "suggestion")
GROUPS_LIMIT: Final = 500
"""Groups of one rule that are alerts at once; the others wait until some of these are over."""
_LABELS: Final = {
    "task": ("task", "task_id"),
    "component": ("component", "component"),
    "executor": ("executor", "executor"),
    "error": ("fingerprint", "fingerprint"),
}
T = TypeVar("T", Ended, Wait)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A condition that holds for one group.

    Args:
        labels: which group it is, sorted by name; with the rule's name, what makes it one alert.
        value: what was measured: a count, a share, or nanoseconds.
        details: what helps to find the cause: tasks, runs, a fingerprint, a message.
    """

    labels: dict[str, str]
    value: float
    summary: str
    details: dict[str, Any] = {}


def findings(rule: Rule, samples: Samples) -> list[Finding]:
    """All that `rule` finds, at most `GROUPS_LIMIT`."""
    samples.limit_time()
    finder = _FINDERS[type(rule)]
    found: list[Finding] = []
    for finding in finder(rule, samples):
        found.append(finding)
        if len(found) == GROUPS_LIMIT:
            break
    return found


def _terminal_failures(rule: rules.TerminalFailures, samples: Samples) -> Iterator[Finding]:
    """A task whose latest run completed since is well again."""
    failed = [
        one for one in samples.failed(rule, rule.window)
        if one.is_terminal(samples.now_ns, rule.settle) and one.task_status != words.COMPLETED
    ]  # fmt: skip
    for labels, group in _groups(failed, rule.group_by):
        if len(group) >= rule.at_least:
            yield Finding(
                labels=labels,
                value=len(group),
                summary=f"{_runs(len(group))} failed for good{_of(labels)}"
                + _because(group[0], samples),
                details=_details(group, samples),
            )


def _new_error(rule: rules.NewError, samples: Samples) -> Iterator[Finding]:
    for pattern in samples.patterns(rule, rule.window):
        if pattern.first_seen_ns < samples.now_ns - rule.window:
            continue
        seen = _counting(rule, samples, samples.occurrences(rule, rule.window, pattern))
        if seen:
            yield _of_pattern(pattern, seen, samples, "was never seen before")


def _regression(rule: rules.Regression, samples: Samples) -> Iterator[Finding]:
    for pattern in samples.patterns(rule, rule.window):
        seen = _counting(rule, samples, samples.occurrences(rule, rule.window, pattern))
        resolved_ns = samples.resolved_ns(rule, pattern)
        before_ns = pattern.before_ns
        if resolved_ns is not None:
            seen = [one for one in seen if one.ended_ns > resolved_ns]
            told = "is back after it was resolved"
        elif before_ns is not None and pattern.first_ns - before_ns >= rule.quiet:
            told = f"is back after {human_duration(pattern.first_ns - before_ns)}"
        else:
            continue
        if seen:
            yield _of_pattern(pattern, seen, samples, told)


def _of_state(rule: rules.OfState, samples: Samples) -> Iterator[Finding]:
    """The kinds of these rules are the names of the states."""
    for pattern in samples.patterns(rule, rule.window):
        course = samples.course(rule, pattern)
        if course.state != rule.kind:
            continue
        seen = _counting(rule, samples, samples.occurrences(rule, rule.window, pattern))
        if seen:
            told = f"is {course.state}: {course.last_day} in a day, usually {course.usual_day:.1f}"
            yield _of_pattern(pattern, seen, samples, told)


def _counting(
    rule: rules.NewError | rules.Regression | rules.OfState, samples: Samples, seen: list[Ended]
) -> list[Ended]:
    if not rule.only_terminal:
        return seen
    return [one for one in seen if one.is_terminal(samples.now_ns, rule.settle)]


def _of_pattern(pattern: Pattern, seen: Sequence[Ended], samples: Samples, told: str) -> Finding:
    what = samples.error(seen[0]).get("type") or "an error"
    return Finding(
        labels={"fingerprint": pattern.fingerprint},
        value=len(seen),
        summary=f"{what} {told}, on {_tasks(seen)}{_because(seen[0], samples)}",
        details=_details(seen, samples),
    )


def _failure_rate(rule: rules.FailureRate, samples: Samples) -> Iterator[Finding]:
    ended = samples.failed(rule, rule.window)
    if rule.of == "runs":
        ended = [one for one in ended if one.is_terminal(samples.now_ns, rule.settle)]
    for labels, group in _groups(ended, rule.group_by):
        if len(group) > rule.above:
            yield Finding(
                labels=labels,
                value=len(group),
                summary=f"{len(group)} {rule.of} failed{_of(labels)} in "
                f"{human_duration(rule.window)}, more than {rule.above}",
                details=_details(group, samples),
            )


def _success_rate(rule: rules.SuccessRate, samples: Samples) -> Iterator[Finding]:
    ended = samples.ended(rule, (words.COMPLETED, *FAILURES), rule.window)
    if rule.of == "runs":
        ended = [one for one in ended if _is_decided(one, samples.now_ns, rule.settle)]
    for labels, group in _groups(ended, rule.group_by):
        failed = [one for one in group if one.status in FAILURES]
        share = 1 - len(failed) / len(group)
        if len(group) >= rule.at_least and share < rule.below:
            yield Finding(
                labels=labels,
                value=share,
                summary=f"{share:.1%} of {len(group)} {rule.of} completed{_of(labels)}, "
                f"below {rule.below:.4g}",
                details=_details(failed, samples),
            )


def _is_decided(one: Ended, now_ns: int, settle_ns: int) -> bool:
    return bool(one.is_last and one.status == words.COMPLETED) or one.is_terminal(now_ns, settle_ns)


def _duration(rule: rules.Duration, samples: Samples) -> Iterator[Finding]:
    ended = samples.ended(rule, (words.COMPLETED,), rule.window)
    for labels, group in _groups(ended, rule.group_by):
        at_ns = quantile([one.ended_ns - one.started_ns for one in group], rule.quantile)
        if len(group) >= rule.at_least and at_ns > rule.above:
            yield Finding(
                labels=labels,
                value=at_ns,
                summary=f"p{_percent(rule.quantile)} of {len(group)} durations{_of(labels)} is "
                f"{human_duration(at_ns)}, above {human_duration(rule.above)}",
                details={"task_ids": _first(one.task_id for one in group)},
            )


def _queue_wait(rule: rules.QueueWait, samples: Samples) -> Iterator[Finding]:
    for labels, group in _groups(samples.waits(rule, rule.window), rule.group_by):
        at_ns = quantile([one.wait_ns for one in group], rule.quantile)
        if len(group) >= rule.at_least and at_ns > rule.above:
            yield Finding(
                labels=labels,
                value=at_ns,
                summary=f"p{_percent(rule.quantile)} of {len(group)} waits for a start"
                f"{_of(labels)} is {human_duration(at_ns)}, above {human_duration(rule.above)}",
                details={"task_ids": _first(one.task_id for one in group)},
            )


def _silence(rule: rules.Silence, samples: Samples) -> Iterator[Finding]:
    heard = samples.heard(rule)
    if heard is None or samples.now_ns - heard.heard_ns <= rule.above:
        return
    silent_ns = samples.now_ns - heard.heard_ns
    said = {"task": rule.task, "component": rule.component, "executor": rule.executor}
    labels = {name: value for name, value in said.items() if value is not None}
    yield Finding(
        labels=labels,
        value=silent_ns,
        summary=f"nothing was heard{_of(labels)} for {human_duration(silent_ns)}",
        details={"task_ids": [heard.task_id]},
    )


def _projection_lag(rule: rules.ProjectionLag, samples: Samples) -> Iterator[Finding]:
    for name, lag_s in sorted(samples.lags_s().items()):
        lag_ns = lag_s * 1e9
        if lag_ns > rule.above:
            yield Finding(
                labels={"projection": name},
                value=lag_ns,
                summary=f"projection {name} is {human_duration(lag_ns)} behind the log",
            )


_FINDERS: Final[Mapping[type[Rule], Callable[[Any, Samples], Iterator[Finding]]]] = {
    rules.TerminalFailures: _terminal_failures,
    rules.NewError: _new_error,
    rules.Regression: _regression,
    rules.New: _of_state,
    rules.Regressed: _of_state,
    rules.Escalating: _of_state,
    rules.FailureRate: _failure_rate,
    rules.SuccessRate: _success_rate,
    rules.Duration: _duration,
    rules.QueueWait: _queue_wait,
    rules.Silence: _silence,
    rules.ProjectionLag: _projection_lag,
}


def quantile(values: Iterable[int], share: float) -> int:
    """The value at a share (0 to 1) of at least one, by nearest rank."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def _groups(ended: Iterable[T], by: str) -> Iterator[tuple[dict[str, str], list[T]]]:
    """The members of each group, by its labels; what is not known is told as `unknown`."""
    if by == "all":
        everyone = list(ended)
        if everyone:
            yield {}, everyone
        return
    label, field = _LABELS[by]
    groups: dict[Hashable, list[T]] = {}
    for one in ended:
        groups.setdefault(getattr(one, field), []).append(one)
    for value, group in groups.items():
        yield {label: "unknown" if value is None else str(value)}, group


def _details(group: Sequence[Ended], samples: Samples) -> dict[str, Any]:
    """Where to look, of the newest first."""
    newest = group[0]
    found: dict[str, Any] = {
        "task_ids": _first(one.task_id for one in group),
        "runs": [{"task_id": one.task_id, "run_id": one.run_id} for one in group[:_EXAMPLES]],
        "fingerprints": _first(one.fingerprint for one in group if one.fingerprint),
        "last_ended_ns": newest.ended_ns,
    }
    if newest.message:
        found["message"] = newest.message[:_MESSAGE_CHARACTERS]
    error = samples.error(newest)
    return found | {name: error[name] for name in _OF_ERROR if error.get(name) is not None}


def _first(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))[:_EXAMPLES]


def _of(labels: Mapping[str, str]) -> str:
    return "".join(f" of {name} {value}" for name, value in labels.items())


def _because(one: Ended, samples: Samples) -> str:
    said = ": ".join(part for part in (samples.error(one).get("type"), one.message) if part)
    first = said.partition("\n")[0][:_MESSAGE_CHARACTERS]
    return f": {first}" if first else ""


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _tasks(seen: Sequence[Ended]) -> str:
    named = list(dict.fromkeys(one.task_id for one in seen))
    return named[0] if len(named) == 1 else f"{named[0]} and {len(named) - 1} more"


def _percent(share: float) -> str:
    return f"{share * 100:.4g}"

"""How new a finished run is, and why. Pure: of the run, the runs before it and its error pattern.

Each reason has a weight from 0 to 1, how unlikely such a run was by what came before. A run's
novelty is 1 - (1 - w1)(1 - w2)…: one strong reason is enough, weak ones add up, none gives 0.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from events.times import human_duration
from projections.views.runs.question import Run

Kind = Literal["new_pattern", "first_failure", "first_success", "unusual_duration", "first_run"]

FINISHED: Final = frozenset(
    {"completed", "failed", "timed_out", "cancelled", "skipped", "abandoned", "unknown"}
)
FAILED: Final = frozenset({"failed", "timed_out", "abandoned"})
NEW_PATTERN: Final = 0.9
FIRST_RUN: Final = 0.3
SUCCESSES: Final = 5
"""As many in a row make the first failure worth telling; twice as many have weight one half."""
FAILURES: Final = 3
DURATIONS: Final = 10
"""As many completed runs are needed to say what is usual."""
UNUSUAL: Final = 3.5
"""Robust standard deviations of the logarithm, from where on a duration is unusual (Iglewicz and
Hoaglin 1993, for the modified z-score)."""
_PER_DEVIATION: Final = 1.4826  # a normal distribution's deviation in median deviations
_LEAST_SPREAD: Final = math.log(1.1) * _PER_DEVIATION
"""Runs that always take the same are not unusual for a tenth more."""


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why a run is new."""

    kind: Kind
    weight: Annotated[float, Meta(ge=0, le=1, description="How unlikely it was")]
    sentence: str


def reasons(run: Run, before: Sequence[Run], first_seen_ns: int | None) -> list[Reason]:
    """Why a run is new, the strongest reason first.

    Args:
        before: the finished runs of the task that started before it, newest first.
        first_seen_ns: when the pattern of its error was seen first; None without one.
    """
    found = [*_of_pattern(run, first_seen_ns), *_of_outcome(run, before)]
    found += _of_duration(run, before)
    if not before:
        found.append(
            Reason(kind="first_run", weight=FIRST_RUN, sentence="the first run of its task")
        )
    return sorted(found, key=lambda reason: (-reason.weight, reason.kind))


def novelty(found: Iterable[Reason]) -> float:
    """The novelty of a run with these reasons, from 0 to 1."""
    return round(1.0 - math.prod(1.0 - reason.weight for reason in found), 4)


def _of_pattern(run: Run, first_seen_ns: int | None) -> list[Reason]:
    if first_seen_ns is None or run.first_started_ns is None:
        return []
    if first_seen_ns < run.first_started_ns:
        return []
    what = (run.error and run.error.type) or "an error"
    sentence = f"{what} was not seen before this run"
    return [Reason(kind="new_pattern", weight=NEW_PATTERN, sentence=sentence)]


def _of_outcome(run: Run, before: Sequence[Run]) -> list[Reason]:
    """A failure after successes, or a success after failures."""
    if run.status in FAILED:
        count = _streak(before, frozenset({"completed"}))
        if count >= SUCCESSES:
            weight = round(count / (count + 2 * SUCCESSES), 4)
            sentence = f"failed after {count} runs that completed"
            return [Reason(kind="first_failure", weight=weight, sentence=sentence)]
    if run.status == "completed":
        count = _streak(before, FAILED)
        if count >= FAILURES:
            weight = round(count / (count + 2 * FAILURES), 4)
            sentence = f"completed after {count} runs that failed"
            return [Reason(kind="first_success", weight=weight, sentence=sentence)]
    return []


def _streak(before: Sequence[Run], statuses: frozenset[str]) -> int:
    """How many runs in a row, the newest first, are in one of the statuses."""
    for count, run in enumerate(before):
        if run.status not in statuses:
            return count
    return len(before)


def _of_duration(run: Run, before: Sequence[Run]) -> list[Reason]:
    """A completed run that took far longer or shorter than completed ones do."""
    usual = [math.log(each.total_execution_ns) for each in before if _is_timed(each)]
    if len(usual) < DURATIONS or not _is_timed(run):
        return []
    middle = median(usual)
    spread = median(abs(each - middle) for each in usual) * _PER_DEVIATION
    off = math.log(run.total_execution_ns) - middle
    deviations = abs(off) / max(spread, _LEAST_SPREAD)
    if deviations < UNUSUAL:
        return []
    weight = round(1.0 - 0.7 * UNUSUAL / deviations, 4)
    sentence = (
        f"took {human_duration(run.total_execution_ns)}, {'longer' if off > 0 else 'shorter'} than "
        f"usual: half of {len(usual)} runs took up to {human_duration(math.exp(middle))}"
    )
    return [Reason(kind="unusual_duration", weight=weight, sentence=sentence)]


def _is_timed(run: Run) -> bool:
    return run.status == "completed" and run.total_execution_ns > 0

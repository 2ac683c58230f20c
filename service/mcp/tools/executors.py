"""`recommend_executor`: which executor did a task best so far, and how sure that is."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from projections.intervals import Interval, wilson
from service.mcp.tools.tool import Document, Source, TaskId, Tool, counted, unknown_task

_MOST_READ: Final = 1000
"""Executors of a task that are compared."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For which task."""

    task_id: TaskId
    min_executions: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Executors with fewer ended tries only count "
                  "if none has as many.")
    ] = 5  # fmt: skip
    limit: Annotated[int, Meta(ge=1, le=50, description="At most so many executors.")] = 10


def candidates(source: Source, task_id: str) -> list[Document]:
    """The executors that ran a task, best first: by the lower bound of their success rate, then
    by how fast half of their tries end.

    Raises:
        NotFound: there is no such task; the message names ids that begin alike.
    """
    filters = {"task": task_id, "by": "executor", "limit": _MOST_READ}
    lines = source.ask("metrics/tasks", filters)["items"]
    if not lines and not source.ask("tasks", {"task": task_id, "limit": 1})["items"]:
        raise unknown_task(source, task_id)
    found = [_candidate(line) for line in lines if line["executor"] is not None]
    return sorted(found, key=_order)


def _candidate(line: Document) -> Document:
    trials = line["successes"] + line["failures"]
    interval = wilson(line["successes"], trials)
    return {
        "executor": line["executor"],
        "success_rate": _rounded(line["success_rate"]),
        "interval_95": [round(bound, 4) for bound in interval],
        "successes": line["successes"],
        "failures": line["failures"],
        "timed_out": line["timed_out"],
        "abandoned": line["abandoned"],
        "p50_s": _rounded(line["duration_s"]["p50"]),
        "p95_s": _rounded(line["duration_s"]["p95"]),
    }


def _order(candidate: Document) -> tuple[Any, ...]:
    median_s = candidate["p50_s"]
    return (
        -candidate["interval_95"][0],
        float("inf") if median_s is None else median_s,
        candidate["executor"],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def trials(candidate: Document) -> int:
    """Its ended tries that count for its rate."""
    count: int = candidate["successes"] + candidate["failures"]
    return count


def are_apart(best: Document, other: Document) -> bool:
    """Whether the rates of two candidates differ beyond their intervals."""
    return Interval(*best["interval_95"]).low > Interval(*other["interval_95"]).high


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    found = [each for each in candidates(source, asked.task_id) if trials(each)]
    known = [each for each in found if trials(each) >= asked.min_executions]
    ranked = known + [each for each in found if each not in known]
    if not ranked:
        return {
            "summary": f"No executor has ended a try of task {asked.task_id} yet.",
            "more": None, "recommended": None, "sure": False, "executors": [],
        }  # fmt: skip
    best, rest = ranked[0], ranked[1:]
    sure = bool(rest) and best in known and all(are_apart(best, each) for each in rest)
    summary = (
        f"{best['executor']}: {best['successes']:,} of {counted(trials(best), 'try', 'tries')} "
        f"succeeded ({_percent(best)}); "
    )
    if not rest:
        summary += "the only executor that ran it."
    elif sure:
        summary += f"better than {counted(len(rest), 'other')} beyond chance (95 % intervals)."
    else:
        summary += "the others' intervals overlap with it, so the difference may be chance."
    return {
        "summary": summary,
        "more": f"raise limit: {len(ranked) - limit} more" if len(ranked) > limit else None,
        "recommended": best["executor"],
        "sure": sure,
        "executors": ranked[:limit],
    }


def _percent(candidate: Document) -> str:
    low, high = candidate["interval_95"]
    return f"{candidate['success_rate']:.0%}, {low:.0%} to {high:.0%}"


TOOL: Final = Tool(
    "recommend_executor",
    "Which executor to choose",
    "The executors (workers, tools, models) that ran a task, best first: observed success rates "
    "with counts and 95 % intervals, and durations. Says whether the difference may be chance. "
    "Rates are of the past: no promise.",
    Arguments,
    run,
    limit=10,
)

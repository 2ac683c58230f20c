"""`explain_failure`: what failed, whether it is known, what recovered it, what to try."""

from statistics import median
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from events.errors import BadInput, NotFound
from projections.endpoints import path_of
from service.mcp.tools.comparison import last_run
from service.mcp.tools.executions import execution, is_failed, newest_failed, of_run, wait_s
from service.mcp.tools.executors import are_apart, candidates
from service.mcp.tools.patterns import pattern_of, recovery, short_pattern
from service.mcp.tools.tool import (
    LONG_TEXT_LIMIT,
    Document,
    Fingerprint,
    RunId,
    Source,
    TaskId,
    Tool,
    counted,
    cut,
    unknown_task,
)

_LOOKED_AT: Final = 5
"""Runs that recovered from the error, of which is told how."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failure: the newest of a pattern, a run, a task, or of all."""

    task_id: TaskId | None = None
    run_id: RunId | None = None
    attempt: (
        Annotated[int, Meta(ge=1, le=1_000_000, description="Number of the try in its run.")] | None
    ) = None
    fingerprint: Fingerprint | None = None


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    failed = _found(source, asked)
    if failed is None:
        return {"summary": "Nothing has failed.", "more": None, "failure": None}
    tries = of_run(source, failed["task_id"], failed["run_id"])
    later = [each for each in tries if each["attempt"] > failed["attempt"]]
    pattern = _pattern(source, failed)
    recoveries = [] if pattern is None else _recoveries(source, pattern)
    return {
        "summary": _sentence(failed, later, pattern),
        "more": "error_pattern tells more of the error, compare_attempts of this run's tries",
        "failure": execution(failed),
        "run": [
            {
                "attempt": each["attempt"], "status": each["status"], "executor": each["executor"],
                "started_at": each["started_at"], "error": (each["error"] or {}).get("type"),
            }
            for each in tries[-limit:]
        ],
        "known": None if pattern is None else pattern["count"] > 1,
        "pattern": None if pattern is None else {
            **short_pattern(pattern), "stack": cut(pattern["stack"], LONG_TEXT_LIMIT),
        },
        "recovery": None if pattern is None else recovery(pattern),
        "recovered_by": recoveries,
        "try": _advice(source, failed, later, pattern, recoveries),
    }  # fmt: skip


def _found(source: Source, asked: Arguments) -> Document | None:
    """The record of the failure that is asked for; None if nothing failed at all.

    Raises:
        BadInput, NotFound: it cannot be told from the arguments, or is not there.
    """
    if asked.fingerprint is not None:
        filters = {"task": asked.task_id, "limit": 1}
        path = path_of("errors", asked.fingerprint, "occurrences")
        items = source.ask(path, filters)["items"]
        if not items:
            raise NotFound("the error pattern has no occurrence in this task")
        first: Document = items[0]
        return first
    if asked.task_id is None:
        if asked.run_id is not None or asked.attempt is not None:
            raise BadInput("run_id and attempt need task_id: a run is known within its task")
        return next(iter(newest_failed(source, {}, 1)), None)
    if asked.run_id is None and asked.attempt is None:
        newest = newest_failed(source, {"task": asked.task_id}, 1)
        if not newest and not source.ask("tasks", {"task": asked.task_id, "limit": 1})["items"]:
            raise unknown_task(source, asked.task_id)
        return next(iter(newest), None)
    return _of_run(source, asked.task_id, asked)


def _of_run(source: Source, task_id: str, asked: Arguments) -> Document:
    run_id = asked.run_id or last_run(source, task_id)
    tries = of_run(source, task_id, run_id)
    if not tries:
        raise NotFound(f"no run {cut(run_id, 200)!r} of task {cut(task_id, 200)!r}")
    wanted = [each for each in tries if asked.attempt in (None, each["attempt"])]
    failed = [each for each in wanted if is_failed(each)]
    if not failed:
        statuses = ", ".join(f"{each['attempt']} {each['status']}" for each in tries[-10:])
        raise NotFound(f"no such attempt of the run failed; its attempts: {statuses}")
    return failed[-1]


def _pattern(source: Source, failed: Document) -> Document | None:
    fingerprint = (failed["error"] or {}).get("fingerprint")
    return None if fingerprint is None else pattern_of(source, fingerprint)


def _recoveries(source: Source, pattern: Document) -> list[Document]:
    """How the newest runs that recovered from a pattern did it."""
    path = path_of("errors", pattern["fingerprint"], "occurrences")
    seen = source.ask(path, {"limit": 50})["items"] if pattern["recovered"] else []
    runs = {(each["task_id"], each["run_id"]): each for each in seen if each["recovered"]}
    found = []
    for (task_id, run_id), failed in list(runs.items())[:_LOOKED_AT]:
        done = [each for each in of_run(source, task_id, run_id) if each["status"] == "completed"]
        if done:
            found.append(
                {
                    "task_id": task_id,
                    "run_id": run_id,
                    "failed_attempt": failed["attempt"],
                    "completed_attempt": done[0]["attempt"],
                    "wait_s": wait_s(failed, done[0]),
                    "same_executor": failed["executor"] == done[0]["executor"],
                    "executor": done[0]["executor"],
                }
            )
    return found


def _advice(
    source: Source,
    failed: Document,
    later: list[Document],
    pattern: Document | None,
    recoveries: list[Document],
) -> list[str]:
    """What to try, the surest first; each sentence says what it rests on."""
    error = failed["error"] or {}
    found = []
    if any(each["status"] == "completed" for each in later):
        found.append("Nothing: a later attempt of the same run completed.")
    if error.get("suggestion"):
        found.append(error["suggestion"])
    if pattern is not None:
        found += _by_recovery(pattern, recoveries, error.get("transient"))
    found += _by_executor(source, failed)
    return found or ["Look at its trace: nothing else is known of such a failure yet."]


def _by_recovery(pattern: Document, recoveries: list[Document], transient: Any) -> list[str]:
    recovered, count = pattern["recovered"], pattern["count"]
    if recovered:
        waits = [each["wait_s"] for each in recoveries if each["wait_s"] is not None]
        after = f" after {median(waits):g} s" if waits else ""
        moved = sum(not each["same_executor"] for each in recoveries)
        told = (
            f"Retry{after}: {recovered:,} of {counted(count, 'occurrence')} recovered in their runs"
        )
        elsewhere = f"; {moved} of the last {len(recoveries)} on another executor" if moved else ""
        return [f"{told}{elsewhere}."]
    if transient:
        return [
            "Retry with backoff: errors of this kind pass, though none was seen to recover yet."
        ]
    if count > 1:
        return [f"Change something first: none of {counted(count, 'occurrence')} recovered."]
    return []


def _by_executor(source: Source, failed: Document) -> list[str]:
    """Another executor, if it does this task better beyond chance."""
    ranked = candidates(source, failed["task_id"])
    own = next((each for each in ranked if each["executor"] == failed["executor"]), None)
    if own is None or ranked[0] is own or not are_apart(ranked[0], own):
        return []
    best = ranked[0]
    return [
        f"Use executor {best['executor']}: {best['success_rate']:.0%} of its tries succeed, "
        f"{own['success_rate']:.0%} of those of {own['executor']} (beyond chance, 95 %)."
    ]


def _sentence(failed: Document, later: list[Document], pattern: Document | None) -> str:
    error = failed["error"] or {}
    what = error.get("type") or "no error was told"
    message = cut(error.get("message"), 120)
    told = (
        f"Attempt {failed['attempt']} of task {failed['task_id']}, run {failed['run_id']}, "
        f"{failed['status']}: {what}{f' ({message})' if message else ''}. "
    )
    if pattern is not None and pattern["count"] > 1:
        told += (
            f"Known: seen {counted(pattern['count'], 'time')} since {pattern['first_seen']}, "
            f"{pattern['recovered']:,} recovered. "
        )
    elif pattern is not None:
        told += "New: this error was not seen before. "
    if later:
        told += f"The run went on: attempt {later[-1]['attempt']} is {later[-1]['status']}."
    else:
        told += "It was the run's last attempt."
    return told


TOOL: Final = Tool(
    "explain_failure",
    "Explain a failure",
    "What failed, whether the error is known, what recovered it before, and what to try, with the "
    "counts that each piece of advice rests on. Of a task, a run, a try or an error pattern; of "
    "the newest failure if nothing is given.",
    Arguments,
    run,
)

"""`compare_attempts`: what differs between two tries of a run."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from events.errors import BadInput, NotFound
from projections.endpoints import path_of
from service.mcp.tools.executions import execution, is_failed, of_run, wait_s
from service.mcp.tools.tool import (
    Document,
    RunId,
    Source,
    TaskId,
    Tool,
    cut,
    unknown_task,
)

_FIELDS: Final = (
    "status", "executor", "model", "tool", "planner", "host", "queue", "component", "system",
    "trace_id",
)  # fmt: skip
_SPANS: Final = 50

Number = Annotated[int, Meta(ge=1, le=1_000_000, description="Number of a try within the run.")]


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which two tries."""

    task_id: TaskId
    run_id: RunId | None = None
    first: Number | None = None
    second: Number | None = None


def last_run(source: Source, task_id: str) -> str:
    """The id of a task's latest run.

    Raises:
        NotFound: there is no such task; the message names ids that begin alike.
    """
    items = source.ask("tasks", {"task": task_id, "limit": 1})["items"]
    if not items:
        raise unknown_task(source, task_id)
    run_id: str = items[0]["last_run_id"]
    return run_id


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    run_id = asked.run_id or last_run(source, asked.task_id)
    tries = {record["attempt"]: record for record in of_run(source, asked.task_id, run_id)}
    if not tries:
        raise NotFound(f"no run {cut(run_id, 200)!r} of task {cut(asked.task_id, 200)!r}")
    first, second = _chosen(tries, asked)
    differences = _differences(first, second)
    attributes = _attribute_differences(source, first, second)
    shown = dict(list(attributes.items())[:limit])
    rest = len(attributes) - len(shown)
    return {
        "summary": _sentence(first, second, differences),
        "more": f"{rest} more attributes differ" if rest else None,
        "same_error": _same_error(first, second),
        "wait_s": wait_s(first, second),
        "differences": differences,
        "attributes": shown,
        "first": execution(first),
        "second": execution(second),
    }  # fmt: skip


def _chosen(tries: dict[int, Document], asked: Arguments) -> tuple[Document, Document]:
    """The two tries; the last one and the failed one before it where they are not named."""
    numbers = sorted(tries)
    for wanted in (asked.first, asked.second):
        if wanted is not None and wanted not in tries:
            raise NotFound(f"the run has no attempt {wanted}; it has {numbers[0]} to {numbers[-1]}")
    if len(numbers) == 1:
        raise BadInput("the run has one attempt only: nothing to compare it with")
    rest = [number for number in numbers if number != asked.first]
    second = tries[asked.second or rest[-1]]
    before = [n for n in numbers if n < second["attempt"]] or [
        n for n in numbers if n != second["attempt"]
    ]
    failed = [n for n in before if is_failed(tries[n])]
    first = tries[asked.first or (failed or before)[-1]]
    return first, second


def _differences(first: Document, second: Document) -> Document:
    found = {name: [first[name], second[name]] for name in _FIELDS if first[name] != second[name]}
    for name in ("type", "message", "fingerprint"):
        pair = [cut((each["error"] or {}).get(name)) for each in (first, second)]
        if pair[0] != pair[1]:
            found[f"error.{name}"] = pair
    durations = [first["duration_s"], second["duration_s"]]
    if durations[0] != durations[1]:
        found["duration_s"] = durations
    return found


def _attribute_differences(source: Source, first: Document, second: Document) -> Document:
    """The attributes of the tries' own spans that differ, each as [first, second]."""
    left, right = _attributes(source, first), _attributes(source, second)
    return {
        name: [_short(left.get(name)), _short(right.get(name))]
        for name in sorted({*left, *right})
        if left.get(name) != right.get(name)
    }


def _attributes(source: Source, record: Document) -> Document:
    if record["trace_id"] is None:
        return {}
    try:
        trace = source.ask(path_of("traces", record["trace_id"]), {"limit": _SPANS})
    except NotFound:  # its spans are archived
        return {}
    for span in trace["spans"]:
        if span["span_id"] == record["span_id"] and span["start_ns"] == record["started_ns"]:
            attributes: Document = {**span["resource"]["attributes"], **span["attributes"]}
            return attributes
    return {}


def _short(value: Any) -> Any:
    return cut(value) if isinstance(value, str) else value


def _same_error(first: Document, second: Document) -> bool | None:
    """Whether both failed with one error; None unless both did."""
    if first["error"] is None or second["error"] is None:
        return None
    return bool(first["error"]["fingerprint"] == second["error"]["fingerprint"])


def _sentence(first: Document, second: Document, differences: Document) -> str:
    what = ", ".join(name for name in differences if name != "status") or "nothing"
    waited = wait_s(first, second)
    after = f" {waited:g} s later" if waited is not None else ""
    return (
        f"Attempt {first['attempt']} {first['status']}, attempt {second['attempt']}{after} "
        f"{second['status']}; besides, they differ in: {what}."
    )


TOOL: Final = Tool(
    "compare_attempts",
    "Compare two tries",
    "What differs between two tries of a run: executor, model, host, error, duration, wait, and "
    "every attribute of their spans. By default the last try and the failed one before it, of the "
    "task's latest run.",
    Arguments,
    run,
    limit=40,
)

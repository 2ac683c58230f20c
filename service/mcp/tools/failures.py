"""`tasks_last_failed`: the newest failures, and which errors they are."""

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from projections.endpoints import path_of
from service.mcp.tools.executions import execution, newest_failed
from service.mcp.tools.patterns import pattern_of, short_pattern
from service.mcp.tools.tool import Document, Source, TaskId, Tool, counted, require_task

_PATTERNS: Final = 20


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which failures."""

    limit: Annotated[int, Meta(ge=1, le=50, description="At most so many.")] = 10
    task_id: TaskId | None = None
    unique_errors: Annotated[
        bool, Meta(description="Only the newest failure of each error pattern.")
    ] = False


def run(source: Source, asked: Arguments, limit: int) -> Document:
    """See `Tool.run`."""
    known: dict[str, Document] = {}
    if asked.unique_errors:
        known = _patterns(source, asked, limit)
        failures = _unique(source, asked, known)
    else:
        failures = _newest(source, asked, limit)
    if not failures:
        require_task(source, asked.task_id)
    seen = dict.fromkeys(
        failure["error"]["fingerprint"]
        for failure in failures
        if failure["error"] and failure["error"]["fingerprint"]
    )
    patterns = [
        {
            **short_pattern(known.get(fingerprint) or pattern_of(source, fingerprint)),
            "example": next(f["id"] for f in failures if _is_of(f, fingerprint)),
        }
        for fingerprint in list(seen)[:_PATTERNS]
    ]
    of = "" if asked.task_id is None else f" of task {asked.task_id}"
    summary = f"No failures{of}."
    if failures:
        newest = failures[0]
        error = newest["error"] or {}
        summary = (
            f"{counted(len(failures), 'failure')}{of}, {counted(len(seen), 'error pattern')}; the "
            f"newest: task {newest['task_id']}, attempt {newest['attempt']}, {newest['status']}"
            f"{', ' + error['type'] if error.get('type') else ''}, {newest['ended_at']}."
        )
    more = None
    if len(failures) == limit:
        more = (
            "older failures: tasks_list with status=failed (timed_out, abandoned) goes on by cursor"
        )
    return {
        "summary": summary,
        "more": more,
        "failures": failures,
        "error_patterns": patterns,
    }


def _is_of(failure: Document, fingerprint: str) -> bool:
    return bool(failure["error"]) and failure["error"]["fingerprint"] == fingerprint


def _newest(source: Source, asked: Arguments, limit: int) -> list[Document]:
    return [execution(record) for record in newest_failed(source, {"task": asked.task_id}, limit)]


def _patterns(source: Source, asked: Arguments, limit: int) -> dict[str, Document]:
    """The patterns that occurred last, of the task if one is asked for, by fingerprint."""
    items = source.ask("errors", {"task": asked.task_id, "limit": limit})["items"]
    return {pattern["fingerprint"]: pattern for pattern in items}


def _unique(source: Source, asked: Arguments, fingerprints: Iterable[str]) -> list[Document]:
    """The newest failure of each pattern, of the task if one is asked for."""
    found = []
    for fingerprint in fingerprints:
        path = path_of("errors", fingerprint, "occurrences")
        found += source.ask(path, {"task": asked.task_id, "limit": 1})["items"]
    found.sort(key=lambda record: record["seen_ns"], reverse=True)
    return [execution(record) for record in found]


TOOL: Final = Tool(
    "tasks_last_failed",
    "Last failures",
    "The newest failed, timed out or abandoned executions with their errors, and the error "
    "patterns that they belong to (how often, since when). unique_errors: one failure an error.",
    Arguments,
    run,
    limit=10,
)

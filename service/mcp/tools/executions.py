"""An execution: one try of a task, as agents see it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from service.mcp.tools.tool import Document, Source, counted, cut

Status = Literal[
    "running", "completed", "failed", "timed_out", "cancelled", "skipped", "abandoned", "unknown"
]
FAILED: Final = ("failed", "timed_out", "abandoned")
"""The statuses of tries that did not do their work."""
_NS_PER_MS: Final = 1_000_000


def execution(record: Document) -> Document:
    """An attempt's record of the API, shorter; what is not known is null."""
    duration_ns = record["duration_ns"]
    return {
        "id": record["attempt_id"],
        "task_id": record["task_id"],
        "task_name": record["task_name"],
        "run_id": record["run_id"],
        "attempt": record["attempt"],
        "status": record["status"],
        "started_at": record["started_at"],
        "ended_at": record["ended_at"],
        "duration_ms": None if duration_ns is None else round(duration_ns / _NS_PER_MS, 3),
        "executor": record["executor"],
        "trace_id": record["trace_id"],
        "span_id": record["span_id"],
        "error": _error(record["error"]),
        "retrieval": _retrieval(record),
        "io": _io(record),
        "backfilled": record["backfilled"],
    }


def _error(error: Document | None) -> Document | None:
    if error is None:
        return None
    return {
        "type": error["type"],
        "message": cut(error["message"]),
        "stack_hash": error["stack_hash"],
        "fingerprint": error["fingerprint"],
        "category": error.get("category"),
        "transient": error.get("transient"),
        "suggestion": error.get("suggestion"),
    }


def _retrieval(record: Document) -> Document | None:
    count, sources = record.get("retrieval_count"), record.get("retrieval_sources") or []
    return {"count": count, "sources": sources} if count is not None or sources else None


def _io(record: Document) -> Document | None:
    written = record.get("files_written")
    return None if written is None else {"files_written": written}


def by_status(executions: Iterable[Document]) -> str:
    """`3 failed, 17 completed`, most frequent first."""
    counts = Counter(each["status"] for each in executions)
    return ", ".join(f"{count} {status}" for status, count in counts.most_common())


def is_failed(record: Document) -> bool:
    """Whether an attempt's record, or an execution, is of a try that did not do its work."""
    return record["status"] in FAILED


def newest_failed(source: Source, filters: Document, limit: int) -> list[Document]:
    """The records of the newest failed attempts that pass filters of the list of attempts."""
    found: list[Document] = []
    for status in FAILED:
        answer = source.ask("attempts", {**filters, "status": status, "limit": limit})
        found += answer["items"]
    return sorted(found, key=lambda record: record["started_ns"] or 0, reverse=True)[:limit]


def of_run(source: Source, task_id: str, run_id: str) -> list[Document]:
    """The records of a run's attempts in order, the first 1,000."""
    filters = {"task": task_id, "run": run_id, "sort": "started", "limit": 1000}
    items: list[Document] = source.ask("attempts", filters)["items"]
    return sorted(items, key=lambda record: record["attempt"])


def told(executions: Sequence[Document], noun: str = "execution") -> str:
    """`20 executions: 3 failed, 17 completed`."""
    if not executions:
        return f"No {noun}s"
    return f"{counted(len(executions), noun)}: {by_status(executions)}"


def wait_s(before: Document, after: Document) -> float | None:
    """Seconds from the end of one attempt's record to the start of another's."""
    ended: Any = before["ended_ns"]
    started: Any = after["started_ns"]
    return None if ended is None or started is None else round((started - ended) / 1e9, 3)

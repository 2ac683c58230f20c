"""The tools for agents, as they answer in the service: p99 of each."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from benchmarks import asked
from benchmarks.doors.known import Known
from benchmarks.figures import Figure
from events import names
from projections.queries import Queries
from service.mcp.answering import answer

_FLOOR_MS: Final = 50.0
Draw = Callable[[], dict[str, Any]]


class _Views:
    """What answers the tools: the views, for one tenant."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """See `service.mcp.tools.tool.Source`."""
        given = {name: value for name, value in filters.items() if value is not None}
        found = self._queries.answer(resource, given, tenant=names.DEFAULT_TENANT)
        document: dict[str, Any] = msgspec.to_builtins(found)
        return document


def figures(queries: Queries, known: Known, calls: int, load: str) -> Iterator[Figure]:
    """One figure a tool and way to ask it."""
    source = _Views(queries)
    for tool, way, draw in _plans(known):
        asking = asked.drawn(draw, partial(answer, tool, source=source))
        timing = asked.timed(asking, calls, time.thread_time)
        yield asked.figure(f"MCP: {tool}{way}", timing, 0.99, _FLOOR_MS, load)


def _plans(known: Known) -> Iterator[tuple[str, str, Draw]]:
    draw = random.Random(5)

    def task() -> dict[str, Any]:
        return {"task_id": draw.choice(known.tasks)}

    def failed() -> Any:
        return draw.choice(known.failed)

    def of_run() -> dict[str, Any]:
        record = failed()
        return {"task_id": record.task_id, "run_id": record.run_id}

    yield "tasks_list", "", dict
    yield "tasks_list", ", failed, a week", lambda: {"status": "failed", "since": "7d"}
    yield "tasks_list", ", live ones of a task", lambda: task() | {"backfilled": False}
    yield "tasks_by_trace", "", lambda: {"trace_id": draw.choice(known.attempts).trace_id}
    yield "tasks_by_trace", ", large", lambda: {"trace_id": known.large}
    yield "tasks_last_failed", "", dict
    yield "tasks_last_failed", ", 50 errors", lambda: {"limit": 50, "unique_errors": True}
    yield "tasks_last_failed", ", errors of a task", lambda: task() | {"unique_errors": True}
    yield "error_pattern", "", lambda: {"fingerprint": draw.choice(known.fingerprints)}
    yield "explain_failure", "", of_run
    yield (
        "explain_failure", " of a pattern",
        lambda: {"fingerprint": draw.choice(known.fingerprints)},
    )  # fmt: skip
    yield "recommend_executor", "", task
    yield "task_stats", "", task
    yield "task_stats", ", all", lambda: {"limit": 100}
    retried = [record for record in known.attempts if record.attempt > 1]
    if retried:
        yield "compare_attempts", "", lambda: _of(draw.choice(retried))


def _of(record: Any) -> dict[str, Any]:
    return {"task_id": record.task_id, "run_id": record.run_id}

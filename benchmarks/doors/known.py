"""Arguments that occur, drawn from the whole month."""

import random
from typing import Any, Final, NamedTuple

from benchmarks import plant
from benchmarks.month import MONTH_NS
from events.times import rfc3339
from projections.queries import Queries

HOUR_NS: Final = 3600 * 10**9
_MOMENTS: Final = 60
_EACH: Final = "5"


class Known(NamedTuple):
    """What to ask for; `attempts` and `failed` are records of the API from all over the month."""

    tasks: list[str]
    attempts: list[Any]
    failed: list[Any]
    fingerprints: list[str]
    executors: list[str]
    large: str
    from_ns: int
    until_ns: int


def known_of(queries: Queries) -> Known:
    """What a plant's folder holds."""

    def asked(path: str, **filters: str) -> Any:
        return queries.answer(path, filters)

    (newest,) = asked("attempts", limit="1", status="completed").items
    until_ns = newest.started_ns
    draw = random.Random(3)

    def some(**filters: str) -> list[Any]:
        found = []
        for _ in range(_MOMENTS):
            at = rfc3339(until_ns - draw.randrange(MONTH_NS)) or ""
            found += asked("attempts", until=at, limit=_EACH, **filters).items
        return found

    tasks = asked("tasks", limit="500").items
    errors = asked("errors", limit="1000").items
    lines = asked("metrics/tasks", task=tasks[0].task_id, by="executor", limit="100").items
    return Known(
        tasks=[task.task_id for task in tasks],
        attempts=some(),
        failed=some(status="failed"),
        fingerprints=[error.fingerprint for error in errors],
        executors=[line.executor for line in lines],
        large=plant.large_trace_id(),
        from_ns=until_ns - MONTH_NS,
        until_ns=until_ns,
    )

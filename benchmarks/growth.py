"""What finding and numbering a new task costs as the views grow: flat, or not.

Digests of new tasks are random, so this is what a B-tree could not bear. Every task is new; pages
are the projector's. Beside it stands what a reader takes to find a task among all of them.
"""

import random
import sqlite3
import time
from contextlib import closing
from statistics import fmean, quantiles
from typing import Final

from benchmarks.figures import Figure
from benchmarks.running import scratch
from projections.fold import FactsProjection
from projections.query.lookup import find_task
from projections.runs.registry.numbers import Registry
from projections.runs.registry.tasks import TaskNumbers
from projections.storage import generation

_PAGE: Final = 16_384
_PART: Final = 2_048
_LOOKUPS: Final = 500


def run(quick: bool) -> list[Figure]:
    """Grow the numbers of tasks; the last tenth of the way against that at a fifteenth of it."""
    tasks = 300_000 if quick else 3_000_000
    with scratch() as folder, closing(generation.connect(folder / "views.db")) as connection:
        costs_us, written = _grow(connection, tasks)
        lookups_us = _look_up(connection, written)
    early, late = (
        fmean(part) for part in (_around(costs_us, 1 / 15), costs_us[-_tenth(costs_us) :])
    )

    def figure(name: str, value: float, unit: str, floor: float | None, **details: float) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, floor=floor, bound="at most", roles="projector",
            cores="1 of 2", load=f"{tasks:,} new tasks", details=details,
        )  # fmt: skip

    return [
        figure("numbering a new task, late against early", late / early, "ratio", 1.5,
               early_us=early, late_us=late),
        figure("finding a task by its text, p99", quantiles(lookups_us, n=100)[98], "µs", 1_000,
               mean_us=fmean(lookups_us)),
    ]  # fmt: skip


def _tenth(costs: list[float]) -> int:
    return max(len(costs) // 10, 1)


def _around(costs: list[float], share: float) -> list[float]:
    at, width = int(len(costs) * share), _tenth(costs)
    return costs[max(at - width // 2, 1) :][:width]


def _grow(connection: sqlite3.Connection, tasks: int) -> tuple[list[float], list[str]]:
    """Processor time a task of each page, and some of the tasks."""
    connection.execute("BEGIN")
    FactsProjection({}).create(connection)
    registry = Registry()
    registry.connection = connection
    numbers = TaskNumbers(registry)
    tenant_no = registry.tenant_no("default")
    connection.execute("COMMIT")
    draw = random.Random(1)
    costs_us: list[float] = []
    sample: list[str] = []
    for _ in range(0, tasks, _PAGE):
        ids = [f"task-{draw.getrandbits(64):016x}" for _ in range(_PAGE)]
        sample.append(ids[0])
        started_s = time.thread_time()
        connection.execute("BEGIN IMMEDIATE")
        for at in range(0, _PAGE, _PART):
            part = [(tenant_no, id_) for id_ in ids[at : at + _PART]]
            _, given = numbers.resolve(connection, part)
            numbers.write(connection, dict.fromkeys(given, 1))
        numbers.flush(connection)
        connection.execute("COMMIT")
        costs_us.append((time.thread_time() - started_s) / _PAGE * 1e6)
    return costs_us, sample


def _look_up(connection: sqlite3.Connection, written: list[str]) -> list[float]:
    draw = random.Random(2)
    costs_us: list[float] = []
    for _ in range(_LOOKUPS):
        task_id = draw.choice(written)
        started_s = time.thread_time()
        found = find_task(connection, "default", task_id)
        costs_us.append((time.thread_time() - started_s) * 1e6)
        assert found is not None
    return costs_us

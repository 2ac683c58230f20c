"""Every door at ten million attempts: pages, tools for agents, lists, decisions, searches of spans.

A month of a plant (benchmarks/plant.py). Each question is asked many times with other arguments;
files lie in the page cache as far as it holds them. Wall time is told beside the processor's. With
`--data` the log and the views are made once and used again.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks import asked, machine, month, plant
from benchmarks.asked import Api
from benchmarks.doors import pages, tools, traces
from benchmarks.doors.known import known_of
from benchmarks.figures import Figure
from benchmarks.running import scratch
from projections.queries import Queries

EVENTS: Final = 12_000_000
"""Of these, ten million are attempts."""
_QUICK: Final = 120_000


def run(quick: bool, data: Path | None = None, events: int | None = None) -> list[Figure]:
    """Make the data, unless it is there; ask."""
    events = events or (_QUICK if quick else EVENTS)
    with scratch() as folder:
        there = (data or folder) / f"plant-{events}"
        plant.grow(there, events)
        month.fold(there)
        return list(measure(there, events, 20 if quick else 100))


def measure(data: Path, events: int, calls: int) -> Iterator[Figure]:
    """Ask at every door, `calls` times each."""
    asked.warm(data / "views.db")
    load = f"a plant, {events:,} spans"
    with closing(Queries(data)) as queries:
        known = known_of(queries)
        yield from tools.figures(queries, known, calls, load)
    yield from traces.figures(data, known, calls, load)
    with asked.api(data) as api:
        yield from pages.figures(api, known, calls, load)
        yield _memory(api, load)


def _memory(api: Api, load: str) -> Figure:
    return Figure(
        name="memory of the API (PSS) after all pages", unit="MiB", roles="api", cores="1 of 2",
        load=load, value=machine.pss_bytes(api.pid) / (1 << 20),
    )  # fmt: skip

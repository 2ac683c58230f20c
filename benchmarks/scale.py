"""Every question at ten million attempts: in process, and over HTTP on one connection.

Each question is asked many times with other arguments: tasks, executors, error patterns, times
and pages are drawn anew. Files are in the page cache, as far as it holds them. With `--data` the
log and the views are made once and used again; see benchmarks/month.py.
"""

import random
import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks import asked, month
from benchmarks.asked import Api, Clock
from benchmarks.figures import Figure
from benchmarks.load import START_NS
from benchmarks.running import scratch
from events.times import rfc3339
from projections.queries import Queries

EVENTS: Final = 10_000_000
_CALLS: Final = 200
_PAGES: Final = 20
_SAMPLE: Final = 500
_NARROW_NS: Final = 3600 * 10**9
_WIDE_NS: Final = 10 * 86400 * 10**9
_FLOORS_MS: Final = {"in process": 20.0, "over HTTP": 50.0}

Ask = Callable[[str, dict[str, str]], Any]
Filters = dict[str, str]


class Known(NamedTuple):
    """Arguments to draw from."""

    tasks: list[str]
    runs: list[tuple[str, str]]
    traces: list[str]
    executors: list[str]
    fingerprints: list[str]


class Plan(NamedTuple):
    """A question: its name, and path and filters for each call."""

    name: str
    draw: Callable[[], tuple[str, Filters]]
    pages: bool = False


class _Answer(msgspec.Struct):
    """What the measurement reads of an answer."""

    next: str | None = None


def run(quick: bool, data: Path | None = None, events: int | None = None) -> list[Figure]:
    """Make the data, unless it is there; ask."""
    events = events or (500_000 if quick else EVENTS)
    with scratch() as folder:
        there = (data or folder) / f"month-{events}"
        month.grow(there, events)
        month.fold(there)
        return measure(there, events)


def measure(data: Path, events: int) -> list[Figure]:
    """Ask every question in both ways."""
    asked.warm(data / "views.db")
    known = _known(data)
    load = f"a month of {events:,} attempts"
    found = []
    with closing(Queries(data)) as queries:
        found += [
            _figure("in process", plan, queries.answer, time.thread_time, load)
            for plan in _plans(known)
        ]
    with asked.api(data) as api:
        found += [
            _figure("over HTTP", plan, _over_http(api), api.worked_s, load)
            for plan in _plans(known)
        ]
    return found


def _figure(way: str, plan: Plan, ask: Ask, clock: Clock, load: str) -> Figure:
    calls = (lambda call=call: ask(*call) for call in _calls(plan, ask))
    timing = asked.timed(calls, _CALLS, clock)
    return asked.figure(f"{plan.name}, {way}", timing, 0.99, _FLOORS_MS[way], load)


def _calls(plan: Plan, ask: Ask) -> Iterator[tuple[str, Filters]]:
    """Calls without end; a list that is paged is followed, and begun again."""
    while True:
        path, filters = plan.draw()
        for _ in range(_PAGES if plan.pages else 1):
            yield path, filters
            if plan.pages:
                page = ask(path, filters)
                if page.next is None:
                    break
                filters = filters | {"cursor": page.next}


def _plans(known: Known) -> Iterator[Plan]:
    draw = random.Random(1)

    def quoted(text: str) -> str:
        return urllib.parse.quote(text, safe="")

    def run_by_id() -> tuple[str, Filters]:
        task, run_id = draw.choice(known.runs)
        return "attempts", {"task": task, "run": run_id}

    yield Plan("trace by id", lambda: (f"traces/{draw.choice(known.traces)}", {}))
    yield Plan("attempts of a run", run_by_id)
    yield Plan("task by id", lambda: (f"tasks/{quoted(draw.choice(known.tasks))}", {}))
    yield Plan(
        "runs of a task",
        lambda: (f"tasks/{quoted(draw.choice(known.tasks))}/runs", {"limit": "100"}),
    )
    filters: dict[str, Callable[[], str]] = {
        "task": lambda: draw.choice(known.tasks),
        "status": lambda: draw.choice(("completed", "failed", "timed_out", "running")),
        "executor": lambda: draw.choice(known.executors),
    }
    for path, names in (
        ("tasks", ("task", "status", "executor")),
        ("runs", ("task", "status", "executor")),
        ("attempts", ("task", "status", "executor")),
        ("history", ("task", "status")),
        ("metrics/tasks", ("task", "executor")),
        ("errors", ("task",)),
        ("errors/{}/occurrences", ()),
    ):
        yield from _list_plans(draw, known, path, {"": str} | {n: filters[n] for n in names})


def _list_plans(
    draw: random.Random, known: Known, path: str, by: dict[str, Callable[[], str]]
) -> Iterator[Plan]:
    def plan(name: str, filter_: str, more: Callable[[], Filters], pages: bool = False) -> Plan:
        def drawn() -> tuple[str, Filters]:
            given = {filter_: by[filter_]()} if filter_ else {}
            at = path.format(draw.choice(known.fingerprints))
            return at, given | more() | {"limit": "100"}

        label = path.format("…") + (f" by {filter_}" if filter_ else "")
        return Plan(f"{label}{name}", drawn, pages)

    for filter_ in by:
        yield plan("", filter_, dict)
        yield plan(", pages", filter_, dict, pages=True)
        if not path.startswith("metrics"):
            yield plan(", an hour", filter_, lambda: _times(draw, _NARROW_NS))
            yield plan(", ten days", filter_, lambda: _times(draw, _WIDE_NS))


def _times(draw: random.Random, width_ns: int) -> Filters:
    since_ns = START_NS - month.MONTH_NS + draw.randrange(month.MONTH_NS - width_ns)
    return {"since": str(rfc3339(since_ns)), "until": str(rfc3339(since_ns + width_ns))}


def _known(data: Path) -> Known:
    """Arguments that occur: half of the tasks and runs often met, half met once."""
    draw = random.Random(2)
    uri = f"{(data / 'views.db').resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as views:

        def some(sql: str, table: str, column: str) -> list[tuple[Any, ...]]:
            last = views.execute(f"SELECT max({column}) FROM {table}").fetchone()[0]
            rows = (views.execute(sql, (draw.randint(1, last),)).fetchone() for _ in range(_SAMPLE))
            return [row for row in rows if row is not None]

        runs = some(
            "SELECT task_id, run_id FROM run_key JOIN task_key USING (task_no) WHERE run_no >= ?"
            " LIMIT 1", "run_key", "run_no",
        )  # fmt: skip
        traces = some(
            "SELECT trace_id FROM attempt WHERE attempt_key >= ? LIMIT 1", "attempt", "attempt_key"
        )
        often = views.execute(
            "SELECT task_id FROM task_key WHERE task_no < 50000 AND task_id GLOB 'task-??????'"
            " LIMIT ?", (_SAMPLE,),
        ).fetchall()  # fmt: skip
        once = some(
            "SELECT task_id FROM task_key WHERE task_no >= ? LIMIT 1", "task_key", "task_no"
        )
        return Known(
            tasks=[task for (task,) in often + once],
            runs=runs,
            traces=[trace.hex() for (trace,) in traces],
            executors=[name for (name,) in views.execute("SELECT executor FROM executor")],
            fingerprints=[f for (f,) in views.execute("SELECT fingerprint FROM fingerprint")],
        )


def _over_http(api: Api) -> Ask:
    def ask(path: str, filters: Filters) -> Any:
        content, _ = api.ask(f"/api/v1/{path}?{urllib.parse.urlencode(filters)}")
        return msgspec.json.decode(content, type=_Answer)

    return ask

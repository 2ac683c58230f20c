"""The pages, the lists of the API, decisions and percepts, over HTTP on one connection."""

import gzip
import random
import urllib.parse
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from benchmarks import asked
from benchmarks.asked import Api
from benchmarks.doors.known import HOUR_NS, Known
from benchmarks.figures import Figure
from events.times import rfc3339

_PAGE_MS: Final = 100.0
_LIST_MS: Final = 50.0
_DECIDED_MS: Final = 5.0
_PAGE_KB: Final = 200.0
_SECOND_CALLS: Final = 10
Draw = Callable[[], str]


def figures(api: Api, known: Known, calls: int, load: str) -> Iterator[Figure]:
    """One figure a page or list; then what the heaviest page weighs."""
    heaviest = (0.0, "")
    for name, draw in _pages(known):
        asking = asked.drawn(draw, partial(api.ask, accept="text/html"))
        timing = asked.timed(asking, calls, api.worked_s)
        content, _ = api.ask(draw(), "text/html")
        heaviest = max(heaviest, (len(content) / 1000, name))
        yield asked.figure(
            f"page {name}", timing, 0.95, _PAGE_MS, load, kb=len(content) / 1000,
            packed_kb=len(gzip.compress(content)) / 1000,
        )  # fmt: skip
    yield Figure(
        name=f"the heaviest page: {heaviest[1]}", value=heaviest[0], unit="kB", floor=_PAGE_KB,
        bound="at most", roles="api", cores="1 of 2", load=load,
    )  # fmt: skip
    for name, draw in _lists(known):
        timing = asked.timed(asked.drawn(draw, api.ask), calls, api.worked_s)
        yield asked.figure(f"API: {name}", timing, 0.99, _LIST_MS, load)
    yield _decided(api, known, calls, load)


def _decided(api: Api, known: Known, calls: int, load: str) -> Figure:
    draw = random.Random(11)

    def body() -> bytes:
        asked_of = {"attempts": 1 + draw.randrange(3), "component": "billing"}
        if draw.random() < 0.5:
            return msgspec.json.encode(asked_of | {"fingerprint": draw.choice(known.fingerprints)})
        error = draw.choice(known.failed).error
        told = {"type": error.type, "message": error.message, "stacktrace": _STACK}
        return msgspec.json.encode(asked_of | {"error": told})

    path = "/api/v1/policies/decide"
    asking = asked.drawn(body, lambda sent: api.ask(path, body=sent))
    timing = asked.timed(asking, _SECOND_CALLS * calls, api.worked_s)
    return asked.figure("policies/decide", timing, 0.99, _DECIDED_MS, load)


_STACK: Final = 'Traceback (most recent call last):\n  File "a.py", line 3, in b\n    c()\nE: gone'


def _pages(known: Known) -> Iterator[tuple[str, Draw]]:
    draw = random.Random(9)

    def at(path: str, **parameters: str) -> str:
        return f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path

    def task() -> str:
        return urllib.parse.quote(draw.choice(known.tasks), safe="")

    def run() -> str:
        record = draw.choice(known.attempts)
        name = urllib.parse.quote(record.task_id, safe="")
        return f"/tasks/{name}/runs/{urllib.parse.quote(record.run_id, safe='')}"

    def attempt() -> str:
        record = draw.choice(known.failed)
        return at(f"/attempts/{record.attempt_id}", task=record.task_id, run=record.run_id)

    def moment() -> str:
        return rfc3339(known.until_ns - draw.randrange(known.until_ns - known.from_ns)) or ""

    for path in ("/", "/?window=15m", "/?window=1d", "/?window=7d", "/live", "/tasks", "/runs"):
        yield path, lambda path=path: path
    yield "/attempts", lambda: "/attempts"
    yield "/attempts of a time", lambda: at("/attempts", until=moment(), status="failed")
    yield "/runs of a time", lambda: at("/runs", until=moment())
    yield "/runs, failed for good", lambda: at("/runs", status="failed")
    yield "/tasks/{id}", lambda: f"/tasks/{task()}"
    yield "/tasks/{id}/runs/{run}", run
    yield "/runs/{id}", lambda: f"/runs/{draw.choice(known.attempts).run_id}"
    yield "/attempts/{id}", attempt
    yield "/traces/{id}", lambda: f"/traces/{draw.choice(known.attempts).trace_id}"
    yield "/traces/{id}, large", lambda: at(f"/traces/{known.large}", **{"from": _window(draw)})
    yield "/errors", lambda: "/errors"
    yield "/errors, most often", lambda: at("/errors", sort="count")
    yield "/errors/{fp}", lambda: f"/errors/{draw.choice(known.fingerprints)}"
    yield "/errors/{fp}, the commonest", lambda: f"/errors/{known.fingerprints[0]}"
    yield "/executors", lambda: "/executors"
    yield "/executors of one", lambda: at("/executors", executor=draw.choice(known.executors))
    for path in ("/health", "/alerts", "/ledger", "/docs"):
        yield path, lambda path=path: path
    for text in SEARCHES:
        yield f"/search {text}", lambda text=text: at("/search", q=text.format(_some(draw, known)))
    yield "/search, a trace's id", lambda: at("/search", q=draw.choice(known.attempts).trace_id)
    yield "/search, a task's id", lambda: at("/search", q=draw.choice(known.tasks))


def _window(draw: random.Random) -> str:
    return str(200 * draw.randrange(50))


def _some(draw: random.Random, known: Known) -> str:
    return str(draw.choice(known.attempts).run_id)


SEARCHES: Final = (
    "status:failed",
    "gave up",
    "executor:worker-7 status:failed",
    "run:{}",
    "{}",
    "no such thing anywhere",
    "model:opus-5 NOT status:completed duration>30s",
    "(queue:urgent OR tool:aider) attempt>=3",
)
"""What people look for: frequent, rare, and what is not there."""


def _lists(known: Known) -> Iterator[tuple[str, Draw]]:
    draw = random.Random(10)

    def at(path: str, **parameters: str) -> str:
        return f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

    def since() -> str:
        width_ns = known.until_ns - known.from_ns - HOUR_NS
        return rfc3339(known.from_ns + draw.randrange(width_ns)) or ""

    def errors(path: str) -> Draw:
        return lambda: at(f"errors/{draw.choice(known.fingerprints)}{path}")

    for path in ("tasks", "runs", "attempts", "history", "errors", "metrics/tasks", "hotspots",
                 "health/components", "retries", "recovery/actions", "overview"):  # fmt: skip
        yield path, lambda path=path: at(path)
    yield "overview, a week", lambda: at("overview", window="7d")
    yield "attempts by executor", lambda: at("attempts", executor=draw.choice(known.executors))
    yield "attempts by model", lambda: at("attempts", model="opus-5")
    yield "attempts by component", lambda: at("attempts", component="billing", since=since())
    yield "runs of a time", lambda: at("runs", since=since(), limit="100")
    yield "count of all attempts", lambda: at("metrics/attempts")
    yield (
        "count of failed ones of a time",
        lambda: at("metrics/attempts", status="failed", since=since()),
    )
    yield "errors by task", lambda: at("errors", task=draw.choice(known.tasks))
    yield "an error", errors("")
    yield "occurrences", errors("/occurrences")
    yield "hotspots by task, all time", lambda: at("hotspots", by="task", since=since())
    yield "percepts/page", lambda: at("percepts/page", limit="100")
    yield "projections", lambda: at("projections")

"""However spans and records are ordered, repeated and cut into pages: the same attempts.

Runs that are made up here have what captures have too little of: tries that still run, beat or are
never heard of again, parents and first tries that come last, orchestrators that say a run's id only
on the parent, clocks that differ.
"""

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import names
from events.schema import Block, Event
from tests.contract.test_mapped_views import blocks_of, log_of, view_of
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_context,
    make_exception,
    make_log,
    make_span,
    span_id,
    trace_id,
)
from tests.mapped import capture_rows, captures, joined, observed
from tests.thorough import examples
from tests.view_rows import rows_of

SCOPES: Final = {
    "celery": "opentelemetry.instrumentation.celery",
    "taskiq": "taskiq.middlewares.opentelemetry_middleware",
    "native": "shop",
}
MOST_TRIES: Final = 4
SETTINGS: Final[dict[str, Any]] = {
    "deadline": None, "suppress_health_check": list(HealthCheck), "max_examples": examples(60),
}  # fmt: skip
TRIES = st.fixed_dictionaries(
    {
        "queued": st.booleans(),
        "started": st.booleans(),
        "beats": st.integers(0, 2),
        "ended": st.booleans(),
        "fails": st.booleans(),
        "logs_error": st.booleans(),
        "skew_s": st.sampled_from([0, 0, 0, -30]),
        "own_trace": st.booleans(),
    }
)
RUNS = st.tuples(st.sampled_from(sorted(SCOPES)), st.lists(TRIES, min_size=1, max_size=MOST_TRIES))


def told_of_run(system: str, run: int, tries: Sequence[dict[str, Any]]) -> list[Block]:
    """Each span and record that a run of an orchestrator sends, as if sent alone."""
    blocks: list[Block] = []

    def send(event: Event, scope: str) -> None:
        instance = f"worker-{run}"
        context = make_context(scope_name=scope, instance=instance)
        blocks.append(Block("default", BASE_NS, context, [event]))

    for number, one in enumerate(tries):
        for event in told_of_try(system, run, number, one):
            is_span = hasattr(event, "start_ns")
            send(event, SCOPES[system] if is_span else "span-lifecycle")
    return blocks


def told_of_try(system: str, run: int, number: int, one: dict[str, Any]) -> list[Event]:
    """What is sent about one try; `number` counts from 0."""
    ids = 100 * run + 10 * number
    own = run + 50 * number if one["own_trace"] else run
    start_ns = BASE_NS + (20 * number + one["skew_s"]) * SECOND_NS
    where: dict[str, Any] = {"trace_id": trace_id(own), "task": None}
    found: list[Event] = []
    if one["queued"]:
        found.append(
            make_span(
                **where, name="publish", span_id=span_id(ids + 1), kind=4,
                start_ns=BASE_NS + (20 * number - 5) * SECOND_NS,
                attributes=said_of(system, run, number, queued=True),
            )
        )  # fmt: skip
    above = span_id(ids + 1)
    about = {"otel.scope.name": SCOPES[system], "span.name": "run/shop.pay",
             "span.kind": "CONSUMER", "span.parent_id": above.hex()}  # fmt: skip
    if system == "native":
        about = said_of(system, run, number)
    signs = [names.ATTEMPT_STARTED] if one["started"] else []
    for beat, event_name in enumerate(signs + [names.ATTEMPT_HEARTBEAT] * one["beats"]):
        found.append(
            make_log(event_name=event_name, trace_id=where["trace_id"], span_id=span_id(ids + 2),
                     time_ns=start_ns + beat * SECOND_NS, attributes=dict(about))
        )  # fmt: skip
    if one["ended"]:
        found.append(ended_span(system, run, number, one, start_ns))
    if one["logs_error"]:
        stack = {"exception.type": "ValueError", "exception.message": f"bad order {number}"}
        found.append(
            make_log(event_name="exception", trace_id=where["trace_id"], span_id=span_id(ids + 2),
                     time_ns=start_ns + 3 * SECOND_NS, attributes=stack)
        )  # fmt: skip
    return found


def ended_span(system: str, run: int, number: int, one: dict[str, Any], start_ns: int) -> Event:
    """The span of a try at its end."""
    ids = 100 * run + 10 * number
    failed = one["fails"]
    own = run + 50 * number if one["own_trace"] else run
    state = {"celery.state": "RETRY" if failed else "SUCCESS"} if system == "celery" else {}
    return make_span(
        task=None, name="run/shop.pay", trace_id=trace_id(own), span_id=span_id(ids + 2),
        parent_span_id=span_id(ids + 1), kind=5, start_ns=start_ns,
        end_ns=start_ns + 9 * SECOND_NS, status_code=2 if failed else 0,
        events=[make_exception()] if failed and not one["logs_error"] else [],
        attributes=said_of(system, run, number) | state,
    )  # fmt: skip


def said_of(system: str, run: int, number: int, *, queued: bool = False) -> dict[str, Any]:
    """How an orchestrator names task, run and try, on the message and where it runs."""
    if system == "native":
        said = {names.TASK_ID: "shop.pay", names.TASK_RUN_ID: f"n{run}"}
        return said if queued else {**said, names.TASK_ATTEMPT: number + 1}
    if system == "celery":
        said = {"messaging.message.id": f"c{run}", "celery.task_name": "shop.pay"}
        return said | ({"celery.retries": number} if number and not queued else {})
    if queued:
        return {"messaging.message.id": f"t{run}", "taskiq.task_name": "shop.pay",
                "taskiq._retries": number}  # fmt: skip
    return {"taskiq.task_name": "shop.pay"}


@settings(**SETTINGS)
@given(runs=st.lists(RUNS, min_size=1, max_size=3), data=st.data())
def test_made_up_runs_give_the_same_rows(
    runs: list[tuple[str, list[dict[str, Any]]]], data: st.DataObject
) -> None:
    """Any permutation, cut into pages anywhere, pages applied twice, caches forgotten."""
    blocks = [
        block
        for number, (system, tries) in enumerate(runs, 1)
        for block in told_of_run(system, number, tries)
    ]
    expected = rows_of(view_of(log_of(blocks)))
    order = data.draw(st.permutations(blocks))
    chance = random.Random(data.draw(st.integers(0, 1 << 16)))
    assert rows_of(view_of(log_of(order), chance)) == expected


@cache
def seen_in(name: str) -> tuple[Any, Any]:
    """The observations of a capture, and the facts that they are at once."""
    found = observed(capture_rows(name))
    return found, joined(found, at_once=len(found))


@pytest.mark.parametrize("name", captures())
@settings(**SETTINGS)
@given(data=st.data())
def test_captures_give_the_same_facts(name: str, data: st.DataObject) -> None:
    """Any permutation with any repetitions, so many at once."""
    observations, expected = seen_in(name)
    again = data.draw(st.lists(st.integers(0, len(observations) - 1), max_size=20))
    places = data.draw(st.permutations([*range(len(observations)), *again]))
    at_once = data.draw(st.integers(1, 9))
    assert joined([observations[place] for place in places], at_once=at_once) == expected


@cache
def rows_in(name: str) -> tuple[list[Block], Any]:
    """A capture as blocks, and the rows of its views in the order in which it was sent."""
    blocks = blocks_of(capture_rows(name))
    return blocks, rows_of(view_of(log_of(blocks)))


@pytest.mark.parametrize("name", captures())
@settings(**SETTINGS | {"max_examples": examples(12)})
@given(data=st.data())
def test_captures_give_the_same_rows(name: str, data: st.DataObject) -> None:
    """The same to the last row of the views."""
    blocks, expected = rows_in(name)
    order = data.draw(st.permutations(range(len(blocks))))
    chance = random.Random(data.draw(st.integers(0, 1 << 16)))
    assert rows_of(view_of(log_of([blocks[place] for place in order]), chance)) == expected

"""Attempts of other orchestrators that run, are silent, or have ended: whatever comes first."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from events import names
from events.schema import Block, Event
from tests.contract.test_mapped_views import log_of, view_of
from tests.events import BASE_NS, SECOND_NS, make_context, make_log, make_span, span_id, trace_id
from tests.view_rows import rows_of

TRACE = trace_id(1)
CELERY = "opentelemetry.instrumentation.celery"
MESSAGE = {"messaging.message.id": "m1", "celery.task_name": "shop.pay"}
ATTEMPTS = (
    "SELECT task_id, run_id, word, ended_ns, system, signs FROM attempt"
    " JOIN task_key USING (task_no) JOIN source USING (source_no)"
    " JOIN status_word USING (status) JOIN run_key ON run_no = attempt_key >> 20"
)


def published() -> Event:
    return make_span(
        task=None,
        name="apply_async/shop.pay",
        trace_id=TRACE,
        span_id=span_id(1),
        kind=4,
        attributes=MESSAGE,
        start_ns=BASE_NS,
        end_ns=BASE_NS + 1,
    )


def executed() -> Event:
    return make_span(
        task=None,
        name="run/shop.pay",
        trace_id=TRACE,
        span_id=span_id(2),
        parent_span_id=span_id(1),
        kind=5,
        attributes={**MESSAGE, "celery.state": "SUCCESS"},
        start_ns=BASE_NS + SECOND_NS,
        end_ns=BASE_NS + 9 * SECOND_NS,
    )


def sign(event_name: str, at_s: int) -> Event:
    """A record of the lifecycle processor about Celery's span, which has no attributes yet."""
    return make_log(
        event_name=event_name,
        trace_id=TRACE,
        span_id=span_id(2),
        time_ns=BASE_NS + at_s * SECOND_NS,
        attributes={
            "otel.scope.name": CELERY,
            "span.name": "run/shop.pay",
            "span.kind": "CONSUMER",
            "span.parent_id": span_id(1).hex(),
        },
    )


STARTED = sign(names.ATTEMPT_STARTED, 1)
BEATING = sign(names.ATTEMPT_HEARTBEAT, 5)


def blocks_of(events: Sequence[Event]) -> list[Block]:
    def context(event: Event) -> Any:
        scope = CELERY if hasattr(event, "start_ns") else "span-lifecycle"
        return make_context(scope_name=scope)

    return [Block("default", BASE_NS, context(event), [event]) for event in events]


def attempts_of(*events: Event) -> list[Any]:
    return view_of(log_of(blocks_of(events))).execute(ATTEMPTS).fetchall()


def test_a_started_record_makes_an_attempt_run() -> None:
    """Its run is known by the message that its parent published; heartbeats count as signs."""
    assert attempts_of(STARTED) == []
    expected = ("shop.pay", "m1", "running", None, "celery")
    assert attempts_of(published(), STARTED) == [(*expected, None)]
    assert attempts_of(published(), STARTED, BEATING) == [(*expected, 1)]


def test_the_span_at_its_end_corrects_it() -> None:
    """In every order, one attempt is left, and nothing runs."""
    events = [published(), STARTED, BEATING, executed()]
    expected = rows_of(view_of(log_of(blocks_of(events))))
    for order in itertools.permutations(events):
        assert attempts_of(*order) == [
            ("shop.pay", "m1", "completed", BASE_NS + 9 * SECOND_NS, "celery", None)
        ]
        assert rows_of(view_of(log_of(blocks_of(order)))) == expected


@pytest.mark.parametrize("task", ["t1", None])
def test_a_pending_span_makes_an_attempt_run(task: str | None) -> None:
    """Logfire's copy of the running span, native or Celery's; the span at its end replaces it."""
    own = {} if task else {**MESSAGE, "celery.state": "SUCCESS"}
    ended = make_span(
        task=task,
        run="m1" if task else None,
        trace_id=TRACE,
        span_id=span_id(2),
        kind=5,
        attributes=own,
    )
    pending = make_span(
        task=task,
        run="m1" if task else None,
        trace_id=TRACE,
        span_id=span_id(3),
        parent_span_id=span_id(2),
        kind=5,
        end_ns=ended.start_ns,
        start_ns=ended.start_ns,
        attributes={
            **({} if task else MESSAGE),
            "logfire.span_type": "pending_span",
            "logfire.pending_parent_id": "0" * 16,
        },
    )
    assert [row[2] for row in attempts_of(pending)] == ["running"]
    assert [row[2] for row in attempts_of(pending, ended)] == ["completed"]
    assert [row[2] for row in attempts_of(ended, pending)] == ["completed"]

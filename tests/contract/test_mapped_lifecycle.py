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


AIRFLOW_WORKER = "airflow.sdk.execution_time.task_runner"
AIRFLOW_SERVER = "airflow.api_fastapi.execution_api.routes.task_instances"


def airflow_said(number: int) -> dict[str, Any]:
    return {
        "airflow.dag_id": "orders", "airflow.task_id": "load", "airflow.dag_run.run_id": "r1",
        "airflow.task_instance.try_number": number, "airflow.task_instance.map_index": -1,
    }  # fmt: skip


def worked(number: int, at_s: int) -> Block:
    """A worker's span, that is sent when its process is through: once more after a deferral."""
    span = make_span(
        task=None,
        name="worker.load",
        trace_id=TRACE,
        span_id=span_id(10 + at_s),
        parent_span_id=span_id(1),
        attributes=airflow_said(number),
        start_ns=BASE_NS + at_s * SECOND_NS,
        end_ns=BASE_NS + (at_s + 1) * SECOND_NS,
    )
    return Block("default", BASE_NS, make_context(scope_name=AIRFLOW_WORKER), [span])


def tried(number: int, state: str, at_s: int) -> Block:
    """The span of a try, that the server sends once the try has ended."""
    span = make_span(
        task=None,
        name="task_run.load",
        trace_id=TRACE,
        span_id=span_id(1),
        attributes={**airflow_said(number), "airflow.task_instance.state": state},
        start_ns=BASE_NS + at_s * SECOND_NS,
        end_ns=BASE_NS + (at_s + 5) * SECOND_NS,
    )
    return Block("default", BASE_NS, make_context(scope_name=AIRFLOW_SERVER), [span])


def test_what_came_of_a_try_shows_that_it_runs_while_its_own_span_is_missing() -> None:
    """A parent that is missing has not ended; a try is shown once, whatever there is of it."""
    shown = ("orders.load", "orders/r1/load/-1", "running", None, "airflow", None)
    assert view_of(log_of([worked(1, 2)])).execute(ATTEMPTS).fetchall() == [shown]
    again = [worked(1, 4), worked(1, 2)]
    assert view_of(log_of(again)).execute(ATTEMPTS).fetchall() == [shown]
    started = "SELECT started_ns FROM attempt"
    assert view_of(log_of(again)).execute(started).fetchall() == [(BASE_NS + 2 * SECOND_NS,)]


def test_a_missing_parent_that_comes_late_ends_the_try_in_every_order() -> None:
    """Three pieces of two tries and their spans: nothing runs in the end, and all rows are one."""
    pieces = [worked(1, 2), worked(1, 4), tried(1, "up_for_retry", 0), worked(2, 12)]
    pieces.append(tried(2, "success", 10))
    expected = rows_of(view_of(log_of(pieces)))
    for order in itertools.permutations(pieces):
        view = view_of(log_of(order))
        ended = [(row[2], row[3]) for row in view.execute(ATTEMPTS).fetchall()]
        assert sorted(ended) == [
            ("completed", BASE_NS + 15 * SECOND_NS), ("failed", BASE_NS + 5 * SECOND_NS),
        ]  # fmt: skip
        assert rows_of(view) == expected


def test_a_try_that_runs_stands_beside_one_that_has_ended() -> None:
    """Of two tries the one whose span came has its outcome, the other one runs."""
    pieces = [worked(1, 2), tried(1, "up_for_retry", 0), worked(2, 12)]
    for order in itertools.permutations(pieces):
        words = [row[2] for row in view_of(log_of(order)).execute(ATTEMPTS).fetchall()]
        assert sorted(words) == ["failed", "running"]

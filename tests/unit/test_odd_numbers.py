"""Numbers of attempts as nobody should send them, by each rule of the package that reads one."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest

from events.schema import Context, Span
from projections.mapping.rules.files import builtin_rules
from projections.trial import Row, TriedAttempt, try_rules
from tests.events import BASE_NS, SECOND_NS, make_span
from tests.mapped import rows_of

INTERNAL, CONSUMER = 1, 5
OK: Final = 1
Sent = Callable[[int, int], list[tuple[str, Span]]]
"""A number as the system counts and the second of the start, to scopes and spans."""


def _span(name: str, kind: int, at: int, **attributes: Any) -> Span:
    said = {key.replace("__", "."): value for key, value in attributes.items()}
    start = BASE_NS + at * SECOND_NS
    return make_span(
        task=None, name=name, kind=kind, start_ns=start, end_ns=start + SECOND_NS,
        status_code=OK, attributes=said,
    )  # fmt: skip


def _celery(number: int, at: int) -> list[tuple[str, Span]]:
    span = _span("run/t", CONSUMER, at, messaging__message__id="r", celery__task_name="t",
                 celery__state="SUCCESS", celery__retries=number)  # fmt: skip
    return [("opentelemetry.instrumentation.celery", span)]


def _remoulade(number: int, at: int) -> list[tuple[str, Span]]:
    span = _span("remoulade/process", CONSUMER, at, messaging__message__id="r",
                 remoulade__actor_name="t", remoulade__retry_count=number)  # fmt: skip
    return [("opentelemetry.instrumentation.remoulade", span)]


def _hatchet(number: int, at: int) -> list[tuple[str, Span]]:
    span = _span("hatchet.start_step_run", CONSUMER, at, hatchet__step_run_id="r",
                 hatchet__action_name="t", hatchet__retry_count=number)  # fmt: skip
    return [("hatchet_sdk.opentelemetry.instrumentor", span)]


def _airflow2(number: int, at: int) -> list[tuple[str, Span]]:
    span = _span("t", INTERNAL, at, category="scheduler", task_id="t", dag_id="d", state="success",
                 try_number=number)  # fmt: skip
    return [("taskinstance", _of_trace(span))]


def _airflow30(number: int, at: int) -> list[tuple[str, Span]]:
    said = {"airflow.task.task_id": "t", "airflow.task.dag_id": "d",
            "airflow.task.state": "success", "airflow.task.try_number": number}  # fmt: skip
    span = _span("t", INTERNAL, at, airflow__category="scheduler", **said)
    return [("airflow", _of_trace(span))]


def _taskiq(number: int, at: int) -> list[tuple[str, Span]]:
    scope = "taskiq.middlewares.opentelemetry_middleware"
    sent = _span("send/t", 4, at, messaging__message__id="r", taskiq__task_name="t",
                 taskiq___retries=number)  # fmt: skip
    done = make_span(
        task=None, name="execute/t", kind=CONSUMER, start_ns=sent.start_ns, end_ns=sent.end_ns,
        status_code=OK, attributes={"taskiq.task_name": "t"}, trace_id=sent.trace_id,
        parent_span_id=sent.span_id,
    )  # fmt: skip
    return [(scope, sent), (scope, done)]


def _of_trace(span: Span) -> Span:
    """The same in the one trace of its run, which nothing else names."""
    return make_span(
        task=None, name=span.name, kind=span.kind, start_ns=span.start_ns, end_ns=span.end_ns,
        status_code=OK, attributes=dict(span.attributes), trace_id=b"\x07" * 16,
    )  # fmt: skip


FROM_0: Final = {
    "celery": _celery, "remoulade": _remoulade, "hatchet": _hatchet, "taskiq": _taskiq,
}  # fmt: skip
FROM_1: Final = {"airflow 2": _airflow2, "airflow 3.0": _airflow30}
ALL: Final = {**{name: (sent, 0) for name, sent in FROM_0.items()},
              **{name: (sent, 1) for name, sent in FROM_1.items()}}  # fmt: skip


def tried(sent: Sent, numbers: Sequence[int]) -> list[TriedAttempt]:
    """The attempts of one run whose tries say these numbers, a minute after each other."""
    found: list[Row] = []
    for place, number in enumerate(numbers):
        for scope, span in sent(number, 60 * place):
            found += rows_of(Context(scope_name=scope), [span])
    attempts = {
        trial.attempts
        for trial in (try_rules(builtin_rules(), found), try_rules(builtin_rules(), found[::-1]))
    }
    (one,) = attempts  # in whatever order they came
    assert len({(row.task_id, row.run_id) for row in one}) == 1
    return sorted(one, key=lambda row: row.started_ns)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((0, 1, 2), (1, 2, 3)),
        ((-1, 0, 1), (1, 2, 3)),  # counts from one less than its system does
        ((0, 4, 6), (1, 5, 7)),
        ((3, 4), (4, 5)),
    ],
    ids=["usual", "from 0", "jumps", "late"],
)
def test_numbers_that_are_said_hold(
    name: str, steps: Sequence[int], expected: Sequence[int]
) -> None:
    """Jumps stay jumps; numbers that begin with 0 are moved by one, all of the run alike."""
    sent, first = ALL[name]
    found = tried(sent, [first + step for step in steps])
    assert [row.attempt for row in found] == list(expected)
    assert [row.retry_of for row in found] == [None, *expected[:-1]]


@pytest.mark.parametrize("name", ALL)
def test_two_that_claim_one_number_are_both_kept(name: str) -> None:
    """The later one gets the next free number, and is marked, as the list of attempts marks it."""
    sent, first = ALL[name]
    found = tried(sent, [first, first, first + 1])
    assert [row.attempt for row in found] == [1, 3, 2]
    assert [("attempt" in row.inferred) for row in found] == [False, True, False]

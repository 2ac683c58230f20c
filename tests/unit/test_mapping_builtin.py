"""Each rule of the package that no capture tries, with spans as that system really sends them."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest

from events.schema import Context, Span, SpanEvent
from tests.events import BASE_NS, SECOND_NS, make_span
from tests.mapped import Facts, Row, attempts_of, joined, observed, rows_of, shuffled

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
OK, ERROR = 1, 2


def _context(scope: str = "", **resource: Any) -> Context:
    named = {key.replace("_", "."): value for key, value in resource.items()}
    return Context(resource_attributes={"service.instance.id": "w1"} | named, scope_name=scope)


def _span(name: str, kind: int = INTERNAL, at: int = 0, code: int = 0, **more: Any) -> Span:
    start = BASE_NS + at * SECOND_NS
    given = {"start_ns": start, "end_ns": start + SECOND_NS} | more
    return make_span(task=None, name=name, kind=kind, status_code=code, **given)


def _exception(kind: str, text: str, at: int = 0) -> SpanEvent:
    values = {"exception.type": kind, "exception.message": text, "exception.stacktrace": "s"}
    return SpanEvent(BASE_NS + at * SECOND_NS + SECOND_NS // 2, "exception", values, 0)


def _facts(rows: Sequence[Row]) -> Facts:
    """What is left of rows, whatever their order."""
    observations = observed(rows)
    facts = joined(observations, at_once=len(observations) or 1)
    for seed in range(5):
        assert joined(shuffled(observations, seed)) == facts
    return facts


def _short(facts: Facts) -> list[tuple[Any, ...]]:
    """Task, run, number, status and error type of each attempt."""
    rows = sorted(attempts_of(facts), key=lambda row: (row["run"], row["n"]))
    return [tuple(row[k] for k in ("task", "run", "n", "status", "error_type")) for row in rows]


def test_docket() -> None:
    """A key that is used again begins a new run; what was put back for want of room is no try."""
    add = {"docket.name": "d", "docket.key": "k", "docket.task": "send", "docket.attempt": 1}
    spans = [
        _span("send", CONSUMER, 1, ERROR, attributes=add, events=[_exception("OSError", "no", 1)]),
        _span("send", CONSUMER, 3, OK, attributes=add | {"docket.attempt": 2}),
        _span("send", CONSUMER, 11, OK, attributes=add,
              events=[_exception("docket.dependencies.AdmissionBlocked", "full", 11)]),
        _span("send", CONSUMER, 13, OK, attributes=add),
    ]  # fmt: skip
    queued = [_span("docket.add", at=0, attributes=add), _span("docket.add", at=10, attributes=add)]
    rows = rows_of(_context("docket.worker"), spans) + rows_of(_context("docket.docket"), queued)
    facts = _facts(rows)
    first, second = f"d/k@{BASE_NS + SECOND_NS}", f"d/k@{BASE_NS + 13 * SECOND_NS}"
    assert _short(facts) == [
        ("send", first, 1, "failed", "OSError"),
        ("send", first, 2, "completed", None),
        ("send", second, 1, "completed", None),
    ]
    assert {f.run.run_id: f.start_ns for f in facts.values() if f.queues} == {
        first: BASE_NS, second: BASE_NS + 10 * SECOND_NS,
    }  # fmt: skip


def test_remoulade() -> None:
    """No failure is said: one that was tried again failed, of the last one nothing is known."""
    said = {"remoulade.actor_name": "pay", "messaging.message.id": "m1"}
    spans = [
        _span("remoulade/send", PRODUCER, 0, attributes=said | {"remoulade.retry_count": 0}),
        _span("remoulade/process", CONSUMER, 1, attributes=said | {"remoulade.retry_count": 0}),
        _span("remoulade/process(retry-1)", CONSUMER, 5,
              attributes=said | {"remoulade.retry_count": 1}),
    ]  # fmt: skip
    facts = _facts(rows_of(_context("opentelemetry.instrumentation.remoulade"), spans))
    assert _short(facts) == [
        ("pay", "m1", 1, "failed", None), ("pay", "m1", 2, "unknown", None),
    ]  # fmt: skip
    assert all("status" in fact.inferred for fact in facts.values() if not fact.queues)


def test_dramatiq() -> None:
    """Numbers go by the order of start; a status that is always OK says nothing."""
    scope = _context("opentelemetry_instrumentor_dramatiq.src")
    said = {"message_id": "m1", "actor_name": "pay"}
    sent = _span("dramatiq.producer.pay", SERVER, 0, OK,
                 attributes=said | {"queue_name": "default"})  # fmt: skip
    below = {"trace_id": sent.trace_id, "parent_span_id": sent.span_id}
    tries = [
        _span("dramatiq.worker.WorkerThread", CONSUMER, at, OK, attributes=said, **below)
        for at in (1, 4)
    ]
    facts = _facts(rows_of(scope, [sent, *tries]))
    assert _short(facts) == [
        ("pay", "m1", 1, "failed", None), ("pay", "m1", 2, "unknown", None),
    ]  # fmt: skip
    assert {fact.queue for fact in facts.values()} == {"default"}


def test_rq() -> None:
    """`perform` is the attempt; `publish` put it into its queue, and knows which."""
    said = {"rq.job.id": "j1", "rq.job.function": "app.pay"}
    send = {"messaging.operation.name": "publish", "messaging.destination.name": "high"}
    one = _span("publish high", PRODUCER, 0, OK, attributes=said | send)
    below = {"trace_id": one.trace_id, "parent_span_id": one.span_id}
    work = said | {"messaging.operation.name": "perform"}
    spans = [
        one,
        _span("perform", CLIENT, 1, ERROR, attributes=work,
              events=[_exception("ValueError", "bad", 1)], **below),
        _span("perform", CLIENT, 3, OK, attributes=work, **below),
        _span("handle_job_success", CLIENT, 4, OK,
              attributes=said | {"messaging.operation.name": "handle_job_success"}, **below),
    ]  # fmt: skip
    facts = _facts(rows_of(_context("opentelemetry_instrumentation_rq.instrumentor"), spans))
    assert _short(facts) == [
        ("app.pay", "j1", 1, "failed", "ValueError"), ("app.pay", "j1", 2, "completed", None),
    ]  # fmt: skip
    assert {fact.queue for fact in facts.values()} == {"high"}


def test_rq_work_horse_that_was_killed() -> None:
    """Only the worker's word below the publishing span tells of it; below `consume` it is none."""
    said = {"rq.job.id": "j1", "rq.job.function": "app.pay"}
    op = "messaging.operation.name"
    send = _span("publish high", PRODUCER, 0, OK, attributes=said | {op: "publish"})
    take = _span("consume high", CONSUMER, 1, OK, attributes=said | {op: "consume"},
                 trace_id=send.trace_id, parent_span_id=send.span_id)  # fmt: skip
    told = [
        _span("handle_job_failure high", CLIENT, at, OK, attributes=said | {
            op: "handle_job_failure"}, trace_id=send.trace_id, parent_span_id=above.span_id)
        for at, above in ((2, send), (5, take))
    ]  # fmt: skip
    scope = _context("opentelemetry_instrumentation_rq.instrumentor")
    facts = _facts(rows_of(scope, [send, take, *told]))
    assert _short(facts) == [("app.pay", "j1", 1, "abandoned", None)]


def test_celery_with_span_links() -> None:
    """Each try has a trace of its own, and none a parent: the message's id keeps them together."""
    said = {"celery.task_name": "pay", "messaging.message.id": "m1"}
    spans = [
        _span("run/pay", CONSUMER, 0, attributes=said | {"celery.state": "RETRY"}),
        _span("run/pay", CONSUMER, 2, OK, attributes=said | {
            "celery.state": "SUCCESS", "celery.retries": 1}),
    ]  # fmt: skip
    facts = _facts(rows_of(_context("opentelemetry.instrumentation.celery"), spans))
    assert _short(facts) == [
        ("pay", "m1", 1, "failed", None), ("pay", "m1", 2, "completed", None),
    ]  # fmt: skip
    assert len({fact.trace_id for fact in facts.values()}) == 2


@pytest.mark.parametrize(
    ("reason", "error_type"),
    [
        ("Retry in 1s: OSError(5, 'disk: 5')", "OSError"),
        ("Retry in 1s: MyErr(7, 'line one\\nline two')", "MyErr"),
        ("Retry in 1s: Exception()", "Exception"),
        ("Retry at 2026-12-01 00:12:44.057407+00:00: RuntimeError('not: yet (really)')",
         "RuntimeError"),
        ("Retry in 1.0s: <HTTPError 503: 'Service Unavailable'>", "HTTPError"),
        ("Retry in 1s: no type: at all (or so)", None),
        ("Retry in 1s", None),
    ],
)  # fmt: skip
def test_celery_reasons_of_a_retry(reason: str, error_type: str | None) -> None:
    """The type of a retry's error is read from its reason, as Celery 5.3 to 5.7 write it."""
    said = {"celery.task_name": "pay", "messaging.message.id": "m1", "celery.state": "RETRY"}
    span = _span("run/pay", CONSUMER, attributes=said | {"celery.retry.reason": reason})
    facts = _facts(rows_of(_context("opentelemetry.instrumentation.celery"), [span]))
    assert _short(facts) == [("pay", "m1", 1, "failed", error_type)]


def test_hatchet() -> None:
    """A retry count is left out while it is 0."""
    said = {"hatchet.step_run_id": "s", "hatchet.action_name": "w:pay", "hatchet.worker_id": "wk"}
    spans = [
        _span("hatchet.start_step_run", CONSUMER, 0, ERROR, attributes=said, status_message="no",
              events=[_exception("KeyError", "'x'")]),
        _span("hatchet.start_step_run", CONSUMER, 2, attributes=said | {"hatchet.retry_count": 1}),
    ]  # fmt: skip
    facts = _facts(rows_of(_context("hatchet_sdk.opentelemetry.instrumentor"), spans))
    assert _short(facts) == [
        ("w:pay", "s", 1, "failed", "KeyError"), ("w:pay", "s", 2, "completed", None),
    ]  # fmt: skip
    assert {fact.executor for fact in facts.values()} == {"wk"}


def _github(attempt: int, job: str, conclusion: str) -> list[Row]:
    trace = hashlib.sha256(f"4711{attempt}t".encode()).digest()[:16]
    resource = {
        "cicd.pipeline.name": job, "vcs.repository.name": "shop",
        "cicd.pipeline.task.run.url.full": f"https://github.com/o/shop/actions/runs/4711/job/{attempt}",
    }  # fmt: skip
    context = Context(resource_attributes=resource)
    code = {"success": OK, "failure": ERROR}.get(conclusion, 0)
    at, step = attempt * 10, {"cicd.pipeline.task.name": "checkout"}
    return rows_of(
        context,
        [
            _span(job, INTERNAL, at, code, trace_id=trace, status_message=conclusion),
            _span(f"queue-{job}", INTERNAL, at, 0, trace_id=trace),
            _span("checkout", INTERNAL, at, OK, trace_id=trace, attributes=step),
        ],
    )


def test_github_actions() -> None:
    """The number of a run's attempt is found in the trace id; steps are no attempts."""
    rows = _github(1, "build", "failure") + _github(2, "build", "success")
    rows += _github(1, "lint", "skipped") + _github(1, "docs", "timed_out")
    assert _short(_facts(rows)) == [
        ("shop/build", "4711/build", 1, "failed", None),
        ("shop/build", "4711/build", 2, "completed", None),
        ("shop/docs", "4711/docs", 1, "timed_out", None),
        ("shop/lint", "4711/lint", 1, "skipped", None),
    ]


def test_gitlab() -> None:
    """A retried job has a new id; the others, sent again in a new trace, stay one attempt."""
    context = _context(cicd_pipeline_run_id=7, vcs_repository_name="shop")
    said = {"cicd.pipeline.task.name": "test", "gitlab.job.queued_duration": 1.0}
    failed = {
        "cicd.pipeline.task.run.id": 1, "cicd.pipeline.task.run.result": "failed",
        "gitlab.job.failure_reason": "script_failure",
    }  # fmt: skip
    again = {"cicd.pipeline.task.run.id": 2, "cicd.pipeline.task.run.result": "success"}
    build = {"cicd.pipeline.task.name": "build", "cicd.pipeline.task.run.id": 3,
             "cicd.pipeline.task.run.result": "success"}  # fmt: skip
    spans = [
        _span("test", SERVER, 0, ERROR, attributes=said | failed),
        _span("test", SERVER, 0, ERROR, attributes=said | failed),
        _span("test", SERVER, 5, OK, attributes=said | again),
        _span("build", SERVER, 0, OK, attributes=said | build),
        _span("build", SERVER, 0, OK, attributes=said | build),
    ]
    assert _short(_facts(rows_of(context, spans))) == [
        ("shop/build", "7/build", 1, "completed", None),
        ("shop/test", "7/test", 1, "failed", "script_failure"),
        ("shop/test", "7/test", 2, "completed", None),
    ]


def test_jenkins() -> None:
    """A build is a run of its own; a stage that comes twice in its trace was tried again."""
    build = _span("shop", SERVER, 0, OK, attributes={
        "ci.pipeline.id": "shop", "ci.pipeline.run.number": 12, "ci.pipeline.run.result": "SUCCESS",
    })  # fmt: skip
    stage = {"jenkins.pipeline.step.type": "stage", "jenkins.pipeline.step.name": "test"}
    spans = [build] + [
        _span("Stage: test", INTERNAL, at, code, trace_id=build.trace_id,
              attributes=stage | {"jenkins.pipeline.step.result": result})
        for at, code, result in ((1, ERROR, "FAILURE"), (3, OK, "SUCCESS"))
    ]  # fmt: skip
    trace = build.trace_id.hex()
    found = _short(_facts(rows_of(_context(service_name="jenkins"), spans)))
    assert sorted(found) == [
        ("jenkins/test", f"{trace}/test", 1, "failed", None),
        ("jenkins/test", f"{trace}/test", 2, "completed", None),
        ("shop", "12", 1, "completed", None),
    ]


def test_argo() -> None:
    """Each pod is a run of its own, as nothing says which one repeats which."""
    said = {"namespace": "ci", "name": "etl-x1", "node_type": "Pod"}
    spans = [
        _span("node", INTERNAL, 0, ERROR, attributes=said | {"node_id": "a"}),
        _span("node", INTERNAL, 2, OK, attributes=said | {"node_id": "b"}),
        _span("node", INTERNAL, 2, OK, attributes=said | {"node_id": "c", "node_type": "DAG"}),
    ]
    assert _short(_facts(rows_of(_context(), spans))) == [
        ("ci/etl-x1", "a", 1, "failed", None), ("ci/etl-x1", "b", 1, "completed", None),
    ]  # fmt: skip


@pytest.mark.parametrize(("code", "last"), [(OK, "completed"), (ERROR, "failed")])
def test_pytest(code: int, last: str) -> None:
    """Reruns are siblings; the test's own span has an exception for each call that failed."""
    said = {"pytest.nodeid": "t.py::test_a", "pytest.span_type": "test"}
    events = [_exception("A", "one", 1), _exception("B", "two", 3)]
    events += [_exception("C", "three", 5)] if code == ERROR else []
    test = _span("t.py::test_a", INTERNAL, 0, code, attributes=said, events=events)
    below = {"trace_id": test.trace_id, "parent_span_id": test.span_id}
    calls = [
        _span("t.py::test_a::call", INTERNAL, at, attributes=said, **below) for at in (1, 3, 5)
    ]
    setup = _span("t.py::test_a::setup", INTERNAL, 0, attributes=said, **below)
    facts = _facts(rows_of(_context("pytest-opentelemetry"), [test, setup, *calls]))
    run = f"{test.trace_id.hex()}/t.py::test_a"
    assert _short(facts) == [
        ("t.py::test_a", run, 1, "failed", "A"),
        ("t.py::test_a", run, 2, "failed", "B"),
        ("t.py::test_a", run, 3, last, "C" if code == ERROR else None),
    ]


def test_generative_ai() -> None:
    """Calls of a tool with one call id are one run; other model calls are no attempts."""
    said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "grep"}
    call = said | {"gen_ai.tool.call.id": "c1"}
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "coder"}
    invoked = _span("invoke_agent coder", CLIENT, 4, attributes=agent)
    spans = [
        _span("execute_tool grep", INTERNAL, 0, ERROR, attributes=call | {"error.type": "Timeout"}),
        _span("execute_tool grep", INTERNAL, 2, attributes=call),
        _span("chat m", CLIENT, 3, attributes={"gen_ai.operation.name": "chat"}),
        invoked,
    ]
    assert sorted(_short(_facts(rows_of(_context("x"), spans)))) == [
        ("coder", invoked.span_id.hex(), 1, "completed", None),
        ("grep", "c1", 1, "failed", "Timeout"),
        ("grep", "c1", 2, "completed", None),
    ]


def test_openinference() -> None:
    """A graph's node that is entered again in one trace is tried again."""
    said = {"openinference.span.kind": "TOOL", "tool.name": "search", "graph.node.id": "n1"}
    first = _span("search", INTERNAL, 0, ERROR, attributes=said, events=[_exception("E", "x")])
    spans = [first, _span("search", INTERNAL, 2, OK, attributes=said, trace_id=first.trace_id)]
    spans.append(_span("llm", attributes={"openinference.span.kind": "LLM"}))
    run = f"{first.trace_id.hex()}/n1"
    assert _short(_facts(rows_of(_context("x"), spans))) == [
        ("search", run, 1, "failed", "E"), ("search", run, 2, "completed", None),
    ]  # fmt: skip


def test_plain_conventions_of_ci() -> None:
    """`cicd.pipeline.task.*` on spans of anybody."""
    said = {"cicd.pipeline.run.id": "9", "cicd.pipeline.name": "p", "cicd.pipeline.task.name": "t"}
    results = (("a", 0, "timeout"), ("b", 2, "success"))
    spans = [
        _span("t", INTERNAL, at, attributes=said | {
            "cicd.pipeline.task.run.id": id_, "cicd.pipeline.task.run.result": result})
        for id_, at, result in results
    ]  # fmt: skip
    assert _short(_facts(rows_of(_context("x"), spans))) == [
        ("p/t", "9/t", 1, "timed_out", None), ("p/t", "9/t", 2, "completed", None),
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["airflow.task.", ""])
def test_airflow_before_3_2(prefix: str) -> None:
    """The scheduler's spans; the run's id stands on the span of the DAG run, which comes last."""
    new = bool(prefix)
    category, run_id = ("airflow.category", "airflow.dag_run.run_id") if new else (
        "category", "run_id")  # fmt: skip
    dag = _span("orders", INTERNAL, 0, attributes={
        category: "DAG runs", run_id: "scheduled__1"})  # fmt: skip
    said = {category: "scheduler", f"{prefix}task_id": "load", f"{prefix}dag_id": "orders",
            f"{prefix}queue": "default", f"{prefix}hostname": "h1"}  # fmt: skip
    tries = ((1, ERROR, "up_for_retry"), (2, 0, "success"))
    spans = [
        _span("load", INTERNAL, n * 2, code, trace_id=dag.trace_id, parent_span_id=dag.span_id,
              attributes=said | {f"{prefix}try_number": n, f"{prefix}state": state})
        for n, code, state in tries
    ]  # fmt: skip
    rows = rows_of(_context("airflow" if new else "taskinstance"), spans)
    rows += rows_of(_context("dag" if new else "dagrun"), [dag])
    facts = _facts(rows)
    assert _short(facts) == [
        ("orders.load", "orders/scheduled__1/load", 1, "failed", None),
        ("orders.load", "orders/scheduled__1/load", 2, "completed", None),
    ]
    assert {(fact.queue, fact.executor) for fact in facts.values()} == {("default", "h1")}


def test_airflow_errors_of_level_two() -> None:
    """With details on, the exception of a grandchild is the attempt's."""
    keys = {
        "airflow.dag_id": "d", "airflow.dag_run.run_id": "r", "airflow.task_id": "t",
        "airflow.task_instance.map_index": -1, "airflow.task_instance.try_number": 1,
    }  # fmt: skip
    try_ = _span("task_run.t", INTERNAL, 0, ERROR,
                 attributes=keys | {"airflow.task_instance.state": "failed"})  # fmt: skip
    trace = {"trace_id": try_.trace_id}
    worker = _span("worker.t", INTERNAL, 0, attributes=keys, parent_span_id=try_.span_id, **trace)
    run = _span("run", INTERNAL, 0, parent_span_id=worker.span_id, **trace)
    execute = _span("task.execute", INTERNAL, 0, ERROR, parent_span_id=run.span_id,
                    events=[_exception("ValueError", "bad order")], **trace)  # fmt: skip
    rows = rows_of(_context("airflow.sdk.execution_time.task_runner"), [worker, run, execute])
    rows += rows_of(_context("airflow.api_fastapi.execution_api.routes.task_instances"), [try_])
    (fact,) = _facts(rows).values()
    assert (fact.error_type, fact.error_message, fact.error_seen) == ("ValueError", "bad order", 2)
    assert fact.executor == "w1"

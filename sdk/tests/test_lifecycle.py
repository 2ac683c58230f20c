"""Signs of life: of our attempts, and of spans that rules take for attempts."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from spanledger_sdk import LifecycleProcessor, attempt, enqueue, names, settings, tracing
from spanledger_sdk.guard import troubles
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.processor import HandoverProcessor
from spanledger_sdk.handover.transport import HttpTransport
from spanledger_sdk.lifecycle.foreign import FOREIGN, Matcher
from spanledger_sdk.settings import Settings
from tests.serving import until

from .collector import Collector, attributes_of, collecting


@contextmanager
def living(
    spans_too: bool = False, **changes: Any
) -> Iterator[tuple[Collector, TracerProvider, LifecycleProcessor]]:
    """A provider with a lifecycle processor, and what it sends."""
    with collecting() as collector:
        force = Settings(endpoint=collector.url, spool="off", send_interval_s=0.02).changed(
            {"heartbeat_interval_s": 0.2, **changes}
        )
        settings.put_in_force(force)
        outbox = Outbox(HttpTransport(force), force.queue_items, force.send_interval_s, 2.0)
        provider = TracerProvider(shutdown_on_exit=False)
        lifecycle = LifecycleProcessor(outbox, spans_too=spans_too)
        provider.add_span_processor(lifecycle)
        if spans_too:
            provider.add_span_processor(HandoverProcessor(outbox))
        tracing.choose(provider)
        try:
            yield collector, provider, lifecycle
        finally:
            provider.shutdown()
            outbox.close()
            tracing.choose(None)


def events(collector: Collector, name: str = "") -> list[str]:
    """The event names that were sent, shortened, of attempts of this task."""
    return [
        record.event_name.removeprefix("task.attempt.")
        for record in collector.records
        if name in ("", attributes_of(record).get("task.id"))
    ]  # fmt: skip


def test_an_attempt_is_followed_from_start_to_end() -> None:
    """Each record has the span's ids and attributes; the end has the result."""
    with living() as (collector, _, _):
        made = attempt("a", "7", number=2)
        with made:
            until(lambda: "heartbeat" in events(collector))
            made.fail("bad", kind="Bad")
        until(lambda: "ended" in events(collector))
        records = collector.records
    started, ended = records[0], records[-1]
    assert started.event_name == names.ATTEMPT_STARTED
    assert started.span_id == made.span_id.to_bytes(8, "big")
    assert started.trace_id.hex() == made.trace_id
    said = attributes_of(started)
    assert (said["task.id"], said["task.run.id"], said["task.attempt"]) == ("a", "7", 2)
    assert "task.result" not in said
    assert attributes_of(ended)["task.result"] == "failed"
    assert attributes_of(ended)["error.type"] == "Bad"


def test_heartbeats_go_on_while_it_runs() -> None:
    """One at once, then each interval; none behind its end."""
    with living() as (collector, _, _):
        with attempt("a", "1"):
            until(lambda: events(collector).count("heartbeat") >= 3)
        until(lambda: "ended" in events(collector))
        count = events(collector).count("heartbeat")
        time.sleep(0.5)
        assert events(collector).count("heartbeat") == count


def test_progress_is_sent_at_once_and_then_once_a_second() -> None:
    """The last one is never lost among many."""
    began_s = time.monotonic()
    with living() as (collector, _, _), attempt("a", "1") as made:
        for number in range(101):
            made.progress(number / 100, f"step {number}")

        def progress() -> list[Any]:
            return [
                attributes_of(r)["task.progress"]
                for r in collector.records
                if r.event_name == names.ATTEMPT_PROGRESS
            ]

        until(lambda: progress()[-1:] == [1.0])
        assert len(progress()) <= 2 + time.monotonic() - began_s


def test_where_spans_are_sent_too_short_attempts_cost_no_record() -> None:
    """The span tells all that a start and an end would."""
    with living(spans_too=True, send_interval_s=0.3) as (collector, _, _):
        for number in range(50):
            with attempt("short", str(number)):
                pass
        with attempt("long", "1"):
            until(lambda: "heartbeat" in events(collector))
        until(lambda: len(collector.spans) == 51)
    assert "ended" not in events(collector, "long")
    assert events(collector, "long")[0] == "started"
    assert len(events(collector, "short")) < 10  # those that ran in the moment of a look


@pytest.mark.parametrize(
    ("scope", "kind", "name", "system"),
    [
        ("opentelemetry.instrumentation.celery", SpanKind.CONSUMER, "run/shop.pay", "celery"),
        ("taskiq.middlewares.opentelemetry_middleware", SpanKind.CONSUMER, "execute/x", "taskiq"),
        ("opentelemetry_instrumentor_dramatiq.src", SpanKind.CONSUMER, "dramatiq.worker", "d"),
        ("opentelemetry_instrumentation_rq.instrumentor", SpanKind.CLIENT, "perform", "rq"),
        ("prefect", SpanKind.INTERNAL, "pay-abc", "prefect"),
        ("docket.worker", SpanKind.CONSUMER, "pay", "docket"),
        ("temporalio.contrib.opentelemetry._interceptor", SpanKind.SERVER, "RunActivity:x", "t"),
        ("hatchet_sdk.opentelemetry.instrumentor", SpanKind.CONSUMER, "hatchet.start_step_run", ""),
        ("airflow.sdk.execution_time.task_runner", SpanKind.INTERNAL, "worker.pay", "airflow"),
    ],
)
def test_spans_of_other_instrumentations_are_followed(
    scope: str, kind: SpanKind, name: str, system: str
) -> None:
    """With what a rule needs to know them by: scope, name, kind and parent."""
    with living() as (collector, provider, _):
        tracer = provider.get_tracer(scope)
        with provider.get_tracer("web").start_as_current_span("request") as request:
            with tracer.start_as_current_span(name, kind=kind) as span:
                until(lambda: "heartbeat" in events(collector))
            with tracer.start_as_current_span("other", kind=SpanKind.PRODUCER):
                pass
        until(lambda: "ended" in events(collector))
        time.sleep(0.1)
        said = attributes_of(collector.records[0])
        assert {r.span_id for r in collector.records} == {
            span.get_span_context().span_id.to_bytes(8, "big")
        }
    assert (said["otel.scope.name"], said["span.name"]) == (scope, name)
    assert said["span.kind"] == kind.name
    assert said["span.parent_id"] == f"{request.get_span_context().span_id:016x}"
    assert "task.result" not in attributes_of(collector.records[-1])


def test_other_spans_are_not_followed() -> None:
    """Not what is queued, not what runs inside an attempt, not a web request."""
    with living() as (collector, provider, _):
        enqueue("queued")
        with attempt("a", "1"), provider.get_tracer("web").start_as_current_span("inner"):
            until(lambda: "heartbeat" in events(collector))
    assert {attributes_of(record)["task.id"] for record in collector.records} == {"a"}


def test_an_attempt_that_is_dropped_falls_silent() -> None:
    """Nobody can end it any more, so nobody says that it lives."""
    with living() as (collector, _, lifecycle):
        made = attempt("a", "1").start()
        until(lambda: "heartbeat" in events(collector))
        del made
        until(lambda: not lifecycle._running)


def test_a_forked_child_says_nothing_of_its_parents_attempts() -> None:
    """Else they would seem alive when their process is gone."""
    with living() as (collector, _, lifecycle), attempt("a", "1"):
        until(lambda: "heartbeat" in events(collector))
        child = os.fork()
        if child == 0:
            os._exit(len(lifecycle._running))
        assert os.waitpid(child, 0)[1] == 0
        assert lifecycle._running


@pytest.mark.trouble
def test_the_number_of_followed_attempts_is_bounded() -> None:
    """Those beyond are announced, and have no heartbeats."""
    with living(running_attempts=2) as (_, _, lifecycle):
        made = [attempt("a", str(number)).start() for number in range(5)]
        assert len(lifecycle._running) == 2
        for one in made:
            one.end()
    assert any("heartbeats" in kind for kind in troubles.counts())


def test_records_may_go_through_the_programs_own_logger_provider() -> None:
    """As to a Collector that it sends to anyway."""
    exporter = InMemoryLogRecordExporter()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    settings.put_in_force(Settings(send_interval_s=0.02))
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(LifecycleProcessor(logger_provider=logs))
    tracing.choose(provider)
    with attempt("a", "1") as made:
        pass
    provider.shutdown()
    records = [data.log_record for data in exporter.get_finished_logs()]
    assert [record.event_name for record in records] == [names.ATTEMPT_STARTED, names.ATTEMPT_ENDED]
    assert {record.span_id for record in records} == {made.span_id}
    assert records[1].attributes is not None
    assert records[1].attributes["task.result"] == "completed"


def test_a_scope_that_no_rule_names_costs_a_lookup() -> None:
    """Rules are matched once a scope."""
    matcher = Matcher(FOREIGN)
    assert not matcher.matches("web", SpanKind.SERVER, "GET /")
    assert matcher._of_scope == {"web": ()}
    for number in range(3_000):
        matcher.matches(f"scope {number}", SpanKind.SERVER, "x")
    assert len(matcher._of_scope) <= 1_000


def test_everything_off_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for our attempts nor for others' spans."""
    with living(disabled=True) as (collector, provider, _):
        tracer = provider.get_tracer("docket.worker")
        with attempt("a"), tracer.start_as_current_span("b", kind=SpanKind.CONSUMER):
            time.sleep(0.2)
    assert not collector.records

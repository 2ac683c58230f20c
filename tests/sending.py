"""Sending spans as any orchestrator does: with the OpenTelemetry SDK, over gRPC or HTTP."""

import threading
import time
import urllib.error
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.serving import Service


def make_spans(task_ids: list[str]) -> tuple[ReadableSpan, ...]:
    """One ended attempt of each task."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "sender"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("tests")
    for task_id in task_ids:
        with tracer.start_as_current_span("attempt", attributes={"task.id": task_id}):
            pass
    return memory.get_finished_spans()


def exporter(service: Service, transport: str = "grpc", **options: Any) -> SpanExporter:
    """The SDK's exporter to a service."""
    if transport == "grpc":
        return GrpcExporter(endpoint=service.grpc, insecure=True, **options)
    return HttpExporter(endpoint=f"http://{service.http}/v1/traces", **options)


def send(service: Service, task_ids: list[str], transport: str = "grpc") -> None:
    """Send one attempt of each task; returns once they are acknowledged."""
    sender = exporter(service, transport)
    try:
        assert sender.export(make_spans(task_ids)) is SpanExportResult.SUCCESS
    finally:
        sender.shutdown()


def wait_for_tasks(service: Service, task_ids: set[str], within_s: float = 20.0) -> None:
    """Wait until the API lists exactly these tasks (at most 1,000 of them)."""
    deadline_s = time.monotonic() + within_s
    found: set[str] = set()
    while time.monotonic() < deadline_s:
        try:
            items = service.ask("/api/v1/tasks?limit=1000")["items"]
        except urllib.error.URLError:
            items = []  # the API is being started again
        found = {item["task_id"] for item in items}
        if found == task_ids:
            return
        time.sleep(0.1)
    raise AssertionError(f"found {len(found)} of {len(task_ids)}: {sorted(found ^ task_ids)[:5]}")


class Sender(threading.Thread):
    """Sends one attempt after the other, each of its own task, until the service refuses."""

    def __init__(self, service: Service, name: str, transport: str) -> None:
        super().__init__(name=name, daemon=True)
        self._exporter = exporter(service, transport, timeout=3)
        self._ended = threading.Event()
        self.acknowledged: set[str] = set()

    def run(self) -> None:
        """Send; what was not acknowledged may be stored or not."""
        number = 0
        while not self._ended.is_set():
            task_ids = [f"{self.name}-{number + step}" for step in range(10)]
            number += 10
            if self._exporter.export(make_spans(task_ids)) is not SpanExportResult.SUCCESS:
                return
            self.acknowledged.update(task_ids)

    def finish(self) -> set[str]:
        """Stop; the tasks whose spans were acknowledged."""
        self._ended.set()
        self._exporter.shutdown()
        self.join(15)
        return self.acknowledged

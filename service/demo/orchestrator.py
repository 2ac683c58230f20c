"""A small orchestrator: queues, and retries with backoff.

It knows nothing of Spanledger. It uses the OpenTelemetry SDK: one trace a run, kept across
retries, and one span an attempt with the `task.*` attributes.
"""

import logging
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from events import names
from service.demo.jobs import JOBS, LOST_AGAIN_AFTER_S, Cancelled, Job, Try, WorkerGone
from service.demo.lifecycle import LifecycleProcessor

SEND_EVERY_MS = 200
SEND_TIMEOUT_S = 3
HEARTBEAT_S = 1.0


class Orchestrator:
    """Runs jobs, and reports to an OTLP/gRPC endpoint (`host:port`)."""

    def __init__(self, endpoint: str) -> None:
        resource = Resource.create({names.SERVICE_NAME: "demo-shop", names.HOST_NAME: "demo"})
        self._logs = LoggerProvider(resource)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(
                OTLPLogExporter(endpoint, insecure=True, timeout=SEND_TIMEOUT_S),
                schedule_delay_millis=SEND_EVERY_MS,
            )
        )
        self._lifecycle = LifecycleProcessor(self._logs, HEARTBEAT_S)
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(self._lifecycle)
        self._traces.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint, insecure=True, timeout=SEND_TIMEOUT_S),
                schedule_delay_millis=SEND_EVERY_MS,
            )
        )
        self._tracer = self._traces.get_tracer("demo.orchestrator")
        self._pool = ThreadPoolExecutor(12, thread_name_prefix="worker")
        self._stopping = threading.Event()

    def play(self, number: int) -> None:
        """Queue a run of each job that belongs to a round."""
        for job in JOBS:
            if number % job.every_rounds == 0:
                self._pool.submit(self._run, job, time.time_ns())

    def _run(self, job: Job, queued_ns: int) -> None:
        run_id = uuid.uuid4().hex[:12]
        executors = random.sample(job.executors, len(job.executors))
        with self._tracer.start_as_current_span(f"run {job.task_id}", kind=SpanKind.PRODUCER):
            for attempt in range(1, job.max_attempts + 1):
                executor = executors[attempt % len(executors)]
                pause_s = self._attempt(job, run_id, attempt, executor, queued_ns)
                if pause_s is None or self._stopping.wait(pause_s):
                    return
                queued_ns = time.time_ns()

    def _attempt(
        self, job: Job, run_id: str, attempt: int, executor: str, queued_ns: int
    ) -> float | None:
        """Try once; returns after how many seconds to try again, None if there is no need."""
        attributes: dict[str, str | int] = {
            names.TASK_ID: job.task_id,
            names.TASK_NAME: job.task_id.replace(".", " "),
            names.TASK_RUN_ID: run_id,
            names.TASK_ATTEMPT: attempt,
            names.TASK_MAX_ATTEMPTS: job.max_attempts,
            names.TASK_QUEUE: job.queue,
            names.TASK_QUEUED_AT: queued_ns,
            names.TASK_EXECUTOR_ID: executor,
        }
        if job.model:
            attributes[names.TASK_EXECUTOR_MODEL] = job.model
        span = self._tracer.start_span(job.task_id, kind=SpanKind.CONSUMER, attributes=attributes)
        try:
            job.work(Try(attempt, self._stopping))
        except WorkerGone:
            self._lifecycle.fall_silent(span)
            return LOST_AGAIN_AFTER_S
        except Exception as exc:
            self._fail(span, exc)
            return random.random() * float(2**attempt) / 10
        span.end()
        return None

    @staticmethod
    def _fail(span: Span, exc: Exception) -> None:
        if isinstance(exc, Cancelled):
            span.set_attribute(names.TASK_RESULT, "cancelled")
        else:
            span.record_exception(exc)
            span.set_status(Status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))
        if isinstance(exc, TimeoutError):
            span.set_attribute(names.TASK_RESULT, "timeout")
        span.end()

    def close(self) -> None:
        """Cancel what runs, retry nothing more, and send what is left."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # nobody can act on it now
        self._traces.shutdown()
        self._logs.shutdown()

"""A small orchestrator: queues, retries with backoff, and executors of unlike quality.

It knows nothing of Spanledger. It uses the OpenTelemetry SDK: one trace a run, kept across
retries, and one span an attempt with the `task.*` attributes.
"""

import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from events import names
from service.demo.lifecycle import LifecycleProcessor

SEND_EVERY_MS = 200
HEARTBEAT_S = 2.0

Work = Callable[[int], None]
"""Does the work of attempt `n` (1-based); raises if it fails."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of task: its work, how often it is tried, and who runs it."""

    task_id: str
    work: Work
    queue: str
    executors: tuple[str, ...]
    max_attempts: int = 3
    model: str = ""


class CardDeclined(Exception):
    """The bank says no, every time."""


def charge_card(attempt: int) -> None:
    """Recovers: the payment service answers at the second or third try."""
    time.sleep(random.uniform(0.05, 0.2))
    if attempt < random.choice((2, 2, 3)):
        raise ConnectionError("payments.internal:443: connection reset by peer")


def send_receipt(attempt: int) -> None:
    """Fails for good, and leaks an address into its message, which is scrubbed."""
    time.sleep(random.uniform(0.02, 0.08))
    raise CardDeclined(f"no receipt for order {random.randrange(9999)} of jo@example.com")


def render_report(attempt: int) -> None:
    """Always works."""
    time.sleep(random.uniform(0.05, 0.4))


def rebuild_index(attempt: int) -> None:
    """Takes too long for its limit."""
    time.sleep(0.5)
    raise TimeoutError("index 'orders' not ready after 0.5 s")


def plan_trip(attempt: int) -> None:
    """An agent's step: one in four goes wrong."""
    time.sleep(random.uniform(0.1, 0.5))
    if random.random() < 0.25:
        raise ValueError(f"tool call {uuid.uuid4()} returned no JSON")


def train_model(attempt: int) -> None:
    """Runs long: to be seen while it runs."""
    time.sleep(20)


JOBS = (
    Job("checkout.charge", charge_card, "payments", ("worker-1", "worker-2"), max_attempts=4),
    Job("checkout.receipt", send_receipt, "mail", ("worker-2",)),
    Job("report.render", render_report, "reports", ("worker-1", "worker-3")),
    Job("search.rebuild-index", rebuild_index, "batch", ("worker-3",), max_attempts=2),
    Job("agent.plan-trip", plan_trip, "agents", ("planner-small",), model="small-1"),
    Job("agent.plan-trip", plan_trip, "agents", ("planner-large",), model="large-1"),
    Job("model.train", train_model, "batch", ("gpu-1",), max_attempts=1),
)


class Orchestrator:
    """Runs jobs against an OTLP/gRPC endpoint (`host:port`)."""

    def __init__(self, endpoint: str, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else None
        resource = Resource.create({names.SERVICE_NAME: "demo-shop", names.HOST_NAME: "demo"})
        self._logs = LoggerProvider(resource)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(
                OTLPLogExporter(endpoint, insecure=True, headers=headers),
                schedule_delay_millis=SEND_EVERY_MS,
            )
        )
        self._traces = TracerProvider(resource=resource)
        self._traces.add_span_processor(LifecycleProcessor(self._logs, HEARTBEAT_S))
        self._traces.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint, insecure=True, headers=headers),
                schedule_delay_millis=SEND_EVERY_MS,
            )
        )
        self._tracer: Tracer = self._traces.get_tracer("demo.orchestrator")
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="worker")
        self._stop = threading.Event()

    def submit(self, job: Job) -> None:
        """Queue one run of a job."""
        self._pool.submit(self._run, job, time.time_ns())

    def _run(self, job: Job, queued_ns: int) -> None:
        run_id = uuid.uuid4().hex[:12]
        with self._tracer.start_as_current_span(f"run {job.task_id}", kind=SpanKind.PRODUCER):
            for attempt in range(1, job.max_attempts + 1):
                if self._attempt(job, run_id, attempt, queued_ns) or self._stop.wait(
                    0.1 * 2**attempt * random.random()
                ):
                    return

    def _attempt(self, job: Job, run_id: str, attempt: int, queued_ns: int) -> bool:
        attributes: dict[str, str | int] = {
            names.TASK_ID: job.task_id,
            names.TASK_NAME: job.task_id.replace(".", " "),
            names.TASK_RUN_ID: run_id,
            names.TASK_ATTEMPT: attempt,
            names.TASK_MAX_ATTEMPTS: job.max_attempts,
            names.TASK_QUEUE: job.queue,
            names.TASK_QUEUED_AT: queued_ns,
            names.TASK_EXECUTOR_ID: random.choice(job.executors),
        }
        if job.model:
            attributes[names.TASK_EXECUTOR_MODEL] = job.model
        with self._tracer.start_as_current_span(
            job.task_id, kind=SpanKind.CONSUMER, attributes=attributes,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                job.work(attempt)
            except Exception as exc:
                self._fail(span, exc)
                return False
            return True

    @staticmethod
    def _fail(span: Span, exc: Exception) -> None:
        span.record_exception(exc)
        span.set_status(Status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))
        if isinstance(exc, TimeoutError):
            span.set_attribute(names.TASK_RESULT, "timeout")

    def close(self) -> None:
        """Stop retrying, and send what is left."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._traces.shutdown()
        self._logs.shutdown()

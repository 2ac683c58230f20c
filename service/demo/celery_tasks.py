"""Ordinary Celery tasks, as anybody would write them: nothing in here knows of Spanledger.

What makes them seen is the instrumentation that OpenTelemetry has for Celery, switched on as its
documentation says. Imported only where the extra `celery-demo` is installed.
"""

import os
import random
import time
from typing import Any

from celery import Celery, Task
from celery.signals import worker_process_init
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

FOLDER = "DEMO_CELERY_FOLDER"
"""The variable that names the folder which stands in for a broker."""

app = Celery("shop", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": f"{os.environ[FOLDER]}/queue",
    "data_folder_out": f"{os.environ[FOLDER]}/queue",
    "control_folder": f"{os.environ[FOLDER]}/control",
    "polling_interval": 0.2,
}
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@worker_process_init.connect(weak=False)  # type: ignore[untyped-decorator]
def instrument(**_: Any) -> None:
    """Trace this process; where to send comes from the `OTEL_…` variables."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


@app.task(  # type: ignore[untyped-decorator]
    name="checkout.charge", autoretry_for=(ConnectionError,), default_retry_delay=1, max_retries=3
)
def charge(order: int) -> None:
    """Recovers: the payment service answers more often than not."""
    time.sleep(random.uniform(0.05, 0.2))
    if random.random() < 0.4:
        raise ConnectionError("payments.internal:443: connection reset by peer")


@app.task(  # type: ignore[untyped-decorator]
    bind=True, name="checkout.receipt", max_retries=2
)
def receipt(self: Task, order: int) -> None:
    """Fails for good, and leaks an address into its message, which is scrubbed."""
    error = ValueError(f"no receipt for order {order} of jo@example.com")
    raise self.retry(exc=error, countdown=1)


@app.task(name="report.render")  # type: ignore[untyped-decorator]
def render(order: int) -> None:
    """Always works, and has another task done."""
    time.sleep(random.uniform(0.05, 0.4))
    receipt.delay(order)


@app.task(name="search.reindex", soft_time_limit=1)  # type: ignore[untyped-decorator]
def reindex() -> None:
    """Takes too long for its limit."""
    time.sleep(3)

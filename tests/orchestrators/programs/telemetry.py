"""The usual set-up of the OpenTelemetry SDK, as its documentation shows it.

Where to send, how often, and as which service come from the `OTEL_…` variables. With `LIFECYCLE=1`
the one line is added that lets attempts be seen while they run.
"""

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def set_up() -> TracerProvider:
    """Make the tracer provider of this process."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if os.environ.get("LIFECYCLE") == "1":
        from spanledger_sdk import LifecycleProcessor  # noqa: PLC0415 only where it is asked for

        provider.add_span_processor(LifecycleProcessor())
    trace.set_tracer_provider(provider)
    return provider

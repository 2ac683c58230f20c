"""Real SDKs as senders: OpenTelemetry for Python and for Node.js."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode

from events.schema import Span
from tests.peers.build import cached, run
from tests.receivers import Receiving, receiving

NODE = Path(__file__).parent / "node"
JOBS = {f"job {number}" for number in range(10)}


def exporters(it: Receiving) -> dict[str, SpanExporter]:
    """One exporter for each way a Python program sends."""
    url = f"http://{it.http}/v1/traces"
    return {
        "grpc": GrpcExporter(endpoint=it.grpc, insecure=True),
        "http": HttpExporter(endpoint=url),
        "http-gzip": HttpExporter(endpoint=url, compression=Compression.Gzip),
    }


@pytest.mark.parametrize("way", ["grpc", "http", "http-gzip"])
def test_python_sdk(tmp_path: Path, way: str) -> None:
    """Spans of the Python SDK arrive with attributes, events, status and resource."""
    with receiving(tmp_path) as it:
        provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        provider.add_span_processor(BatchSpanProcessor(exporters(it)[way]))
        tracer = provider.get_tracer("sender", "1.0")
        for number in range(10):
            with tracer.start_as_current_span(f"job {number}") as span:
                span.set_attributes({"task.id": f"job-{number}", "tags": ["a", "b"], "n": number})
                if number == 3:
                    span.record_exception(ValueError("out of paper"))
                    span.set_status(StatusCode.ERROR, "failed")
        provider.shutdown()
        found = {one.event.name: one for one in it.events() if isinstance(one.event, Span)}
    assert set(found) == JOBS
    failed: Any = found["job 3"].event
    assert failed.attributes == {"task.id": "job-3", "tags": ["a", "b"], "n": 3}
    assert (failed.status_code, failed.events[0].name) == (2, "exception")
    assert found["job 3"].context.resource_attributes["service.name"] == "shop"
    assert found["job 3"].context.scope_name == "sender"


def packages() -> Path:
    """The installed packages of `node/package.json`, in a folder outside the repository."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js is not installed")

    def install(scratch: Path) -> Path:
        shutil.copy(NODE / "package.json", scratch)
        run([npm, "--prefix", scratch, "install", "--no-audit", "--no-fund", "--no-package-lock"])
        return scratch / "node_modules"

    wanted = hashlib.sha256((NODE / "package.json").read_bytes()).hexdigest()[:12]
    return cached("node_modules", wanted, install)


@pytest.mark.slow
@pytest.mark.parametrize(("exporter", "compression"), [("proto", "gzip"), ("http", "none")])
def test_node_sdk(tmp_path: Path, exporter: str, compression: str) -> None:
    """Spans of the Node.js SDK arrive over HTTP in protobuf and in JSON."""
    path = str(packages())
    with receiving(tmp_path) as it:
        url = f"http://{it.http}/v1/traces"
        run(["node", NODE / "send.js", exporter, url, compression], NODE_PATH=path)
        found = {one.event.name: one.event for one in it.events() if isinstance(one.event, Span)}
    assert set(found) == JOBS
    assert found["job 3"].attributes["tags"] == ["a", "b"]
    assert found["job 3"].events[0].attributes["exception.message"] == "out of paper"

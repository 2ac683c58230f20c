"""Spans stand in a stock Jaeger as they stand in the log, also after Jaeger was away."""

import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import Span as PbSpan
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from events.identity import Identity
from events.log.door import GroupDoor
from events.log.port import Batch
from events.log.reader import open_reader
from events.schema import Span
from service.configuration.settings import ForwardTarget
from service.control.socket import call
from service.forward.backoff import Backoff
from service.forward.encode import Item, encode_frame, encode_span, frame_request
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve
from service.otlp.decode.limits import Limits
from service.otlp.decode.protobuf import decode_traces
from tests.captures import capture_files, read_capture
from tests.otlp_messages import Flat, flat, traces_of_json
from tests.peers import Jaeger
from tests.serving import serving, until

pytestmark = pytest.mark.peers

CAPTURES = capture_files("traces")


@dataclass
class Ledger:
    """A real log with a forwarder at work on it."""

    data: Path
    door: GroupDoor
    operations: Operations

    def store(self, body: bytes) -> None:
        decoded = decode_traces(body, Limits())
        assert decoded.refused == 0, decoded.reasons
        identity, blocks, ids = Identity(self.door.identity_key), [], []
        for group in decoded.groups:
            digest = identity.context_digest("default", group.context)
            ids += identity.event_ids(digest, group.rows)
            blocks.append(("default", 1, group.context, group.rows))
        self.door.append(Batch.of(blocks, ids, time_min_ns=1, time_max_ns=1))

    def settled(self) -> bool:
        (status,) = self.operations.status()
        return status["lag_events"] == 0 and status["state"] == "idle"


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[Jaeger]:
    with Jaeger(tmp_path / "jaeger") as peer:
        yield peer


@pytest.fixture(params=["grpc", "http"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, jaeger: Jaeger) -> Iterator[Ledger]:
    door = GroupDoor(tmp_path)
    url = f"otlp+{request.param}://{getattr(jaeger, request.param)}"
    forwarder = Forwarder(
        tmp_path, [resolve(ForwardTarget(url))], lambda: open_reader(tmp_path),
        backoff=lambda: Backoff(0.1, 1.0),
    )  # fmt: skip
    operations = Operations(
        forwarder.store, lambda: open_reader(tmp_path), conditions=forwarder.conditions
    )
    stop = threading.Event()
    thread = threading.Thread(target=forwarder.run, args=(stop,))
    thread.start()
    yield Ledger(tmp_path, door, operations)
    stop.set()
    thread.join()
    door.close()


@pytest.mark.slow
def test_a_whole_service_fills_jaeger(tmp_path: Path, jaeger: Jaeger) -> None:
    """What the SDK and the captures send to a service stands in Jaeger as in its log."""
    forward = f"otlp+grpc://{jaeger.grpc}?name=jaeger"
    with serving(tmp_path, "--forward", forward) as service:
        exporter = OTLPSpanExporter(endpoint=service.grpc, insecure=True)
        make_spans(50, BatchSpanProcessor(exporter))
        for capture in CAPTURES:
            request = urllib.request.Request(
                f"http://{service.http}/v1/traces",
                read_capture(capture),
                {"content-type": "application/x-protobuf"},
            )
            assert urllib.request.urlopen(request, timeout=30).status == 200
        until(lambda: call(service.data, "forwarder", "status")[0]["lag_events"] == 0, 30)
        in_log = stored(service.data)
        assert len(in_log) > 50
        for trace_id, spans in in_log.items():
            assert shown(jaeger, trace_id) == spans


def sdk_spans(count: int) -> bytes:
    memory = InMemorySpanExporter()
    make_spans(count, SimpleSpanProcessor(memory))
    return encode_spans(memory.get_finished_spans()).SerializeToString()


def make_spans(count: int, processor: SpanProcessor) -> None:
    """Spans as the SDK makes them: all attribute types, events, links, errors, nesting."""
    provider = TracerProvider(resource=Resource({"service.name": "sdk", "pod": ["a", "b"]}))
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests", "1.0", "https://schemas.example/1", {"lib": True})
    for number in range(count):
        with tracer.start_as_current_span("task", kind=trace.SpanKind.CONSUMER) as parent:
            parent.set_attributes(
                {"task.id": f"t{number}", "ok": True, "n": -7, "x": 2.5, "tags": ["a", "b"]}
            )
            parent.add_event("progress", {"percent": 50})
            link = trace.Link(parent.get_span_context(), {"why": "retry"})
            child = tracer.start_span("step", links=[link])
            child.record_exception(ValueError(f"bad order {number}"))
            child.set_status(trace.StatusCode.ERROR, "bad order")
            child.end()
    provider.shutdown()


def stored(data: Path, after: int = 0) -> dict[bytes, list[Flat]]:
    """The spans that the log holds after a position, by trace, as Jaeger keeps them."""
    traces: dict[bytes, list[Item]] = defaultdict(list)
    with closing(open_reader(data)) as reader:
        while (page := reader.read(0, after)).count:
            for held in page.recorded():
                if isinstance(held.event, Span):
                    frame = encode_frame("traces", held.context)
                    item = Item(held.position, frame, encode_span(held.event))
                    traces[held.event.trace_id].append(item)
            after = page.through
    return {trace_id: as_jaeger_keeps(items) for trace_id, items in traces.items()}


def shown(jaeger: Jaeger, trace_id: bytes) -> list[Flat]:
    """A trace as Jaeger's own query API gives it, less the warnings that Jaeger adds."""
    document = jaeger.trace(trace_id)
    if document is None:
        return []
    traces = traces_of_json(document)
    for span in spans_of(traces):
        kept = [pair for pair in span.attributes if pair.key != "@jaeger@warnings"]
        del span.attributes[:]
        span.attributes.extend(kept)
    return flat(traces)


def as_jaeger_keeps(items: list[Item]) -> list[Flat]:
    """What was stored, with the two changes Jaeger makes to all it stores.

    Its storage has no room for schema URLs, and a span lasts 1 ns at least.
    """
    traces = TracesData.FromString(frame_request(items))
    for span in spans_of(traces):
        if span.end_time_unix_nano <= span.start_time_unix_nano:
            span.end_time_unix_nano = span.start_time_unix_nano + 1
    return sorted((resource, b"", scope, b"", span) for resource, _, scope, _, span in flat(traces))


def spans_of(traces: TracesData) -> Iterator[PbSpan]:
    for resource in traces.resource_spans:
        for scope in resource.scope_spans:
            yield from scope.spans


@pytest.mark.parametrize("body", CAPTURES, ids=lambda path: path.parts[-3])
def test_captures_stand_in_jaeger(ledger: Ledger, jaeger: Jaeger, body: Path) -> None:
    """What orchestrators really sent is found in Jaeger, equal field by field."""
    ledger.store(read_capture(body))
    until(ledger.settled, 30)
    for trace_id, spans in stored(ledger.data).items():
        assert shown(jaeger, trace_id) == spans


def test_an_outage_of_jaeger_loses_nothing(ledger: Ledger, jaeger: Jaeger) -> None:
    """What was stored while Jaeger was down stands there soon after it is back."""
    ledger.store(sdk_spans(5))
    until(ledger.settled, 30)
    for trace_id, spans in stored(ledger.data).items():
        assert shown(jaeger, trace_id) == spans
    before = ledger.door.head
    jaeger.kill()
    ledger.store(sdk_spans(200))
    until(lambda: ledger.operations.status()[0]["state"] == "waiting", 30)
    jaeger.start()
    until(ledger.settled, 30)
    for trace_id, spans in stored(ledger.data, after=before).items():
        assert shown(jaeger, trace_id) == spans

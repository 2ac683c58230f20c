"""A stock Jaeger, set up by the example in `deploy/`, shows what a service has stored."""

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from service.access.tokens import TokenStore
from tests.events import BASE_NS, SECOND_NS
from tests.invariants import wait_views
from tests.otlp import pair
from tests.peers.jaeger_page import JaegerPage
from tests.serving import Service, serving, until

pytestmark = [pytest.mark.peers, pytest.mark.slow]

LARGE = 10_008
REPEATED = 200


def send(service: Service, name: str, spans: list[Span]) -> None:
    """Let a service of this name send spans; returns once they are stored."""
    request = ExportTraceServiceRequest()
    held = request.resource_spans.add()
    held.resource.attributes.append(pair("service.name", name))
    held.scope_spans.add(spans=spans).scope.name = "shop.lib"
    with grpc.insecure_channel(service.grpc) as channel:
        TraceServiceStub(channel).Export(request, timeout=60)


def span(trace: int, number: int, name: str = "step", **changes: Any) -> Span:
    start = BASE_NS + number * 1000
    values: dict[str, Any] = {
        "trace_id": trace.to_bytes(16, "big"), "span_id": (number + 1).to_bytes(8, "big"),
        "name": name, "kind": Span.SPAN_KIND_INTERNAL, "start_time_unix_nano": start,
        "end_time_unix_nano": start + 5_000_000,
    }  # fmt: skip
    return Span(**values | changes)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One that has stored a shop's call of a mailer, a large trace, and repeated span ids."""
    with serving(
        tmp_path_factory.mktemp("service"), "--jaeger-port", "0", "--query-budget-s", "30"
    ) as served:  # all that a search finds, however slow the machine is
        root = span(1, 0, "order", kind=Span.SPAN_KIND_SERVER)
        sent = span(
            1, 1, "send", parent_span_id=root.span_id, kind=Span.SPAN_KIND_CLIENT,
            attributes=[pair("to", "customer-1"), pair("tries", 3)],
            end_time_unix_nano=BASE_NS + SECOND_NS, status=Status(code=Status.STATUS_CODE_ERROR),
        )  # fmt: skip
        send(served, "shop", [root])
        send(served, "mail", [sent])
        large = [span(2, n, attributes=[pair("text", f"{n:0300}")]) for n in range(LARGE)]
        for at in range(0, LARGE, 1000):
            send(served, "batch", large[at : at + 1000])
        repeated = [span(3, n, span_id=(n % 20 + 1).to_bytes(8, "big")) for n in range(REPEATED)]
        send(served, "again", repeated)
        head = wait_views(served)
        until(lambda: indexed(served) == head)  # of the end that is not, not all is told
        yield served


def indexed(service: Service) -> str:
    """The position that the index of spans has reached."""
    projections = service.ask("/api/v1/projections")["items"]
    (position,) = [p["position"] for p in projections if p["name"] == "spans"]
    return str(position)


@pytest.fixture(scope="module")
def page(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JaegerPage]:
    with JaegerPage(tmp_path_factory.mktemp("jaeger"), service.jaeger) as peer:
        yield peer


def found(page: JaegerPage, service: str, **asked: Any) -> list[str]:
    """The traces that a search finds, by the number that each was made with."""
    window = {"start": (BASE_NS - SECOND_NS) // 1000, "end": (BASE_NS + 3600 * SECOND_NS) // 1000}
    if "tags" in asked:
        asked["tags"] = json.dumps(asked["tags"])
    query = urlencode({"service": service, "limit": 20} | window | asked)
    return sorted(
        trace["traceID"].lstrip("0") for trace in page.get(f"/api/traces?{query}")["data"]
    )


def test_services_and_operations(page: JaegerPage) -> None:
    """Its drop-downs name who sent, and what."""
    assert sorted(page.get("/api/services")["data"]) == ["again", "batch", "mail", "shop"]
    operations = page.get("/api/v3/operations?service=shop")["operations"]
    assert [(o["name"], o["spanKind"]) for o in operations] == [("order", "server")]


def test_searches(page: JaegerPage) -> None:
    """By service, operation, attributes, duration and error; all of one span."""
    assert found(page, "mail") == ["1"]
    assert found(page, "mail", operation="send") == ["1"]
    assert found(page, "mail", operation="order") == []
    assert found(page, "mail", tags={"to": "customer-1", "tries": "3"}) == ["1"]
    assert found(page, "mail", tags={"to": "customer-2"}) == []
    assert found(page, "mail", tags={"error": "true"}) == ["1"]
    assert found(page, "shop", tags={"error": "true"}) == []
    assert found(page, "mail", minDuration="900ms") == ["1"]
    assert found(page, "shop", minDuration="900ms") == []
    assert found(page, "batch", maxDuration="10ms", tags={"text": f"{7:0300}"}) == ["2"]


def test_a_trace_is_shown_whole(page: JaegerPage) -> None:
    """All 10,008 spans of a trace, and all that share an id with another."""
    (large,) = page.get(f"/api/traces/{2:032x}")["data"]
    assert len(large["spans"]) == LARGE
    answer = page.get(f"/api/v3/traces/{3:032x}?raw_traces=true")["result"]
    spans = [
        one["startTimeUnixNano"] for resource in answer["resourceSpans"]
        for scope in resource["scopeSpans"] for one in scope["spans"]
    ]  # fmt: skip
    assert len(set(spans)) == REPEATED


def test_an_unknown_trace_is_not_found(page: JaegerPage) -> None:
    """It is no error of the storage."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        page.get(f"/api/traces/{99:032x}")
    assert caught.value.code == 404


def test_dependencies(page: JaegerPage) -> None:
    """The shop calls the mailer."""
    query = urlencode({"endTs": BASE_NS // 10**6 + 60_000, "lookback": 3_600_000})
    (edge,) = page.get(f"/api/dependencies?{query}")["data"]
    assert (edge["parent"], edge["child"], edge["callCount"]) == ("shop", "mail", 1)


def test_a_token_goes_with_each_call(tmp_path: Path) -> None:
    """Where tokens are needed, Jaeger reads with one, and only that tenant's traces."""
    with serving(tmp_path, "--jaeger-port", "0") as service:
        send(service, "shop", [span(1, 0)])
        token = TokenStore(service.data / "tokens.json").add("jaeger", "read", "default")
        header = {"authorization": f"Bearer {token}"}
        with JaegerPage(tmp_path / "with", service.jaeger, header) as page:
            assert page.get("/api/services")["data"] == ["shop"]
        with (
            JaegerPage(tmp_path / "without", service.jaeger) as page,
            pytest.raises(urllib.error.HTTPError),
        ):
            page.get("/api/services")

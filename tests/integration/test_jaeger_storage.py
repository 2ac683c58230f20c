"""A plain gRPC client reads the log by Jaeger's remote storage: traces, searches, access."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from events import names
from events.schema import Event
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.forward.encode import Item, encode_frame, encode_span, frame_request
from service.jaeger.messages import PACKAGE, message, methods
from service.jaeger.server import SERVICES, JaegerServer
from service.traces.stored import CHUNK_BYTES
from tests.certificates import make_certificate
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_batch,
    make_context,
    make_log,
    make_span,
    span_id,
    trace_id,
)
from tests.otlp_messages import flat
from tests.views import make_folder

LARGE = 10_008
SHOP, MAIL = make_context(service="shop"), make_context(service="mail")


class Client:
    """Calls methods by name."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = (
            grpc.insecure_channel(address, options=options)
            if credentials is None
            else grpc.secure_channel(address, credentials, options=options)
        )
        self._methods = {m.name: (s, m) for s in SERVICES for m in methods(s)}

    def call(self, name: str, request: Any = None, **metadata: str) -> Any:
        service, method = self._methods[name]
        path = f"/{PACKAGE}.{service}/{name}"
        sent = [(key.replace("_", "-"), value) for key, value in metadata.items()]
        made = self.channel.unary_stream if method.is_stream else self.channel.unary_unary
        answers = TracesData if method.gives.DESCRIPTOR.name == "TracesData" else method.gives
        call = made(
            path, request_serializer=lambda r: r.SerializeToString(),
            response_deserializer=answers.FromString,
        )  # fmt: skip
        answer = call(request or method.takes(), metadata=sent, timeout=60)
        return list(answer) if method.is_stream else answer

    def find(self, name: str, **changes: Any) -> Any:
        request = message(f"{name}Request")()
        for key, value in changes.items():
            if key == "tags":
                for tag, text in value.items():
                    request.query.attributes.add(key=tag).value.string_value = text
            elif key.endswith("_ns"):
                field = getattr(request.query, key.removesuffix("_ns"))
                field.seconds, field.nanos = divmod(value, 10**9)
            else:
                setattr(request.query, key, value)
        return self.call(name, request)

    def trace(self, *ids: bytes, **metadata: str) -> list[Any]:
        request = message("GetTracesRequest")()
        for one in ids:
            request.query.add(trace_id=one)
        chunks: list[Any] = self.call("GetTraces", request, **metadata)
        return chunks


def small_trace(number: int) -> list[tuple[Any, Event]]:
    """A request of the shop that makes the mailer send something."""
    start = BASE_NS + number * SECOND_NS
    one, root = trace_id(number), span_id(1000 + number)
    return [
        (SHOP, make_span(trace_id=one, span_id=root, name="order", kind=2, start_ns=start)),
        (
            MAIL,
            make_span(
                trace_id=one, parent_span_id=root, name="send", kind=3, start_ns=start + 1,
                status_code=2 if number == 2 else 0, attributes={"to": f"customer-{number}"},
            ),
        ),
    ]  # fmt: skip


NINTH = small_trace(9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small traces, a large one, one with span ids that come again, and what is no span."""
    batches = [
        make_batch([event], context=context) for n in (1, 2, 3) for context, event in small_trace(n)
    ]
    large = [
        make_span(trace_id=trace_id(50), name=f"step {n % 7}", attributes={"text": f"{n:0300}"})
        for n in range(LARGE)
    ]
    batches += [make_batch(large[at : at + 1000], context=SHOP) for at in range(0, LARGE, 1000)]
    again = [
        make_span(trace_id=trace_id(60), span_id=span_id(n % 20), start_ns=BASE_NS + n)
        for n in range(200)
    ]
    pending = make_span(
        trace_id=trace_id(70), attributes={names.LOGFIRE_SPAN_TYPE: names.LOGFIRE_PENDING}
    )
    batches += [
        make_batch(again, context=MAIL),
        make_batch(
            [make_log(trace_id=trace_id(70)), make_span(trace_id=trace_id(70), end_ns=0), pending]
        ),
        make_batch([make_span(trace_id=trace_id(1), name="theirs")], tenant="acme"),
        *(make_batch([event], context=context, tenant="field") for context, event in NINTH),
    ]
    return make_folder(tmp_path_factory.mktemp("data"), batches)


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[Client]:
    settings = Settings(data=data, host="127.0.0.1")
    server = JaegerServer(settings, TokenStore(data / "tokens.json"), 0)
    served = Client(server.start())
    yield served
    served.channel.close()
    server.close()


def names_in(chunks: list[Any]) -> list[str]:
    return [
        span.name for chunk in chunks for resource in chunk.resource_spans
        for scope in resource.scope_spans for span in scope.spans
    ]  # fmt: skip


def test_a_trace_is_as_it_was_stored(client: Client) -> None:
    """Every field of every span, with its resource and scope."""
    items = [
        Item(0, encode_frame("traces", context), encode_span(event))  # type: ignore[arg-type]
        for context, event in NINTH
    ]
    expected = flat(TracesData.FromString(frame_request(items)))
    (chunk,) = client.trace(trace_id(9), x_tenant="field")
    assert flat(chunk) == expected
    assert names_in([chunk]) == ["order", "send"]


def test_a_large_trace_comes_in_chunks(client: Client) -> None:
    """All its spans, in chunks that a client takes by default; none is empty."""
    chunks = client.trace(trace_id(50))
    assert len(names_in(chunks)) == LARGE
    assert len(chunks) > 1
    assert all(0 < chunk.ByteSize() <= CHUNK_BYTES + 4096 for chunk in chunks)


def test_span_ids_that_come_again_are_all_there(client: Client) -> None:
    """200 spans of 20 ids are 200 spans."""
    assert len(names_in(client.trace(trace_id(60)))) == 200


def test_chunks_are_of_one_trace_and_unknown_ones_are_left_out(client: Client) -> None:
    """Traces come one behind the other, each once, in the order that is asked."""
    ids = [trace_id(3), trace_id(999), trace_id(1), trace_id(3), trace_id(70)]
    found = [
        {s.trace_id for r in chunk.resource_spans for sc in r.scope_spans for s in sc.spans}
        for chunk in client.trace(*ids)
    ]
    assert found == [{trace_id(3)}, {trace_id(1)}]


def test_services_and_operations(client: Client) -> None:
    """Names come with the words of Jaeger for kinds, and may be asked by one."""
    assert list(client.call("GetServices").services) == ["mail", "shop"]
    request = message("GetOperationsRequest")(service="shop")
    found = {(o.name, o.span_kind) for o in client.call("GetOperations", request).operations}
    assert found == {("order", "server"), ("run", "internal")} | {
        (f"step {n}", "internal") for n in range(7)
    }
    request.span_kind = "server"
    assert [o.name for o in client.call("GetOperations", request).operations] == ["order"]


@pytest.mark.parametrize(
    ("changes", "traces"),
    [
        ({"service_name": "mail", "operation_name": "send"}, [3, 2, 1]),
        ({"service_name": "mail", "operation_name": "send", "search_depth": 2}, [3, 2]),
        ({"tags": {"to": "customer-2"}}, [2]),
        ({"tags": {"error": "true"}}, [2]),
        ({"tags": {"to": "customer-2", "error": "false"}}, []),
        ({"service_name": "shop", "tags": {"to": "customer-2"}}, []),
        ({"operation_name": "send", "start_time_min_ns": BASE_NS + 2 * SECOND_NS}, [3, 2]),
        ({"operation_name": "send", "start_time_max_ns": BASE_NS + 2 * SECOND_NS}, [1]),
        ({"operation_name": "send", "duration_min_ns": SECOND_NS + 2}, []),
        ({"operation_name": "step 3", "service_name": "shop"}, [50]),
        ({"service_name": "nobody"}, []),
    ],
)  # fmt: skip
def test_searches(client: Client, changes: dict[str, Any], traces: list[int]) -> None:
    """Whole traces with a span that is all of it, the newest first, and their ids alike."""
    ids = [found.trace_id for found in client.find("FindTraceIDs", **changes).trace_ids]
    expected = [trace_id(number) for number in traces]
    assert ids == expected
    chunks = client.find("FindTraces", **changes)
    whole = {
        s.trace_id
        for c in chunks
        for r in c.resource_spans
        for sc in r.scope_spans
        for s in sc.spans
    }
    assert whole == set(expected)
    if traces == [2]:
        assert names_in(chunks) == ["order", "send"]


def test_summaries(client: Client) -> None:
    """A trace's root, times, counts and services, without its spans."""
    (answer,) = client.find("FindTraceSummaries", tags={"to": "customer-2"})
    (summary,) = answer.summaries
    assert (summary.trace_id, summary.root_service_name, summary.root_operation_name) == (
        trace_id(2), "shop", "order",
    )  # fmt: skip
    start = BASE_NS + 2 * SECOND_NS
    assert (summary.min_start_time_unix_nano, summary.max_end_time_unix_nano) == (
        start, start + 1 + SECOND_NS,
    )  # fmt: skip
    counts = summary.span_count, summary.error_span_count, summary.orphan_span_count
    assert counts == (2, 1, 0)
    shares = [(s.name, s.span_count, s.error_span_count) for s in summary.services]
    assert shares == [("mail", 1, 1), ("shop", 1, 0)]


def test_dependencies(client: Client) -> None:
    """The shop calls the mailer, as often as there are such spans in that time."""
    request = message("GetDependenciesRequest")()
    request.start_time.seconds = BASE_NS // SECOND_NS
    request.end_time.seconds = BASE_NS // SECOND_NS + 5
    (found,) = client.call("GetDependencies", request).dependencies
    assert (found.parent, found.child, found.call_count) == ("shop", "mail", 3)


def test_capabilities(client: Client) -> None:
    """Searches may go without a service, and all conditions are of one span."""
    search = client.call("GetCapabilities").search
    assert search.without_service_name
    assert search.same_span_conjunction
    assert not search.HasField("filter")


def test_tenants_are_apart(client: Client) -> None:
    """Either name of the header says whose traces are read."""
    for header in ("x_tenant", "x_scope_orgid"):
        assert names_in(client.trace(trace_id(1), **{header: "acme"})) == ["theirs"]
        assert client.trace(trace_id(2), **{header: "acme"}) == []
        assert list(client.call("GetServices", **{header: "acme"}).services) == ["shop"]


@pytest.mark.parametrize("length", [0, 8, 17])
def test_ids_of_another_length_are_refused(client: Client, length: int) -> None:
    """The answer says what was expected."""
    with pytest.raises(grpc.RpcError) as caught:
        client.trace(b"\1" * length)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == f"trace_id: expected 16 bytes, not {length}"


def test_tokens_are_asked_for(data: Path, tmp_path: Path) -> None:
    """A token that may read lets in, by either header, for its tenant; no other does."""
    tokens = TokenStore(tmp_path / "tokens.json")
    reads, sends = tokens.add("jaeger", "read", "acme"), tokens.add("sender", "ingest")
    server = JaegerServer(Settings(data=data, host="127.0.0.1"), tokens, 0)
    client = Client(server.start())
    with closing(server), client.channel:
        for header in ({"authorization": f"Bearer {reads}"}, {"authorization": reads}):
            assert names_in(client.trace(trace_id(1), **header)) == ["theirs"]
        for header, code in (
            ({}, grpc.StatusCode.UNAUTHENTICATED),
            ({"authorization": f"Bearer {sends}"}, grpc.StatusCode.PERMISSION_DENIED),
            (
                {"authorization": f"Bearer {reads}", "x_tenant": "other"},
                grpc.StatusCode.PERMISSION_DENIED,
            ),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                client.trace(trace_id(1), **header)
            assert caught.value.code() is code


def test_tls_and_client_certificates_hold_for_jaeger(data: Path, tmp_path: Path) -> None:
    """The port serves the certificate of the others, and wants one of clients where they do."""
    ca = make_certificate(tmp_path, "ca")
    own, known = (make_certificate(tmp_path, name, ca) for name in ("server", "client"))
    settings = Settings(
        data=data, host="127.0.0.1", tls_cert=own.certificate, tls_key=own.key,
        tls_client_ca=ca.certificate,
    )  # fmt: skip
    server = JaegerServer(settings, TokenStore(tmp_path / "tokens.json"), 0)
    address, root = server.start(), ca.certificate.read_bytes()
    pair = known.key.read_bytes(), known.certificate.read_bytes()
    with closing(server):
        client = Client(address, grpc.ssl_channel_credentials(root, *pair))
        with client.channel:
            assert client.call("GetServices").services
        for stranger in (None, grpc.ssl_channel_credentials(root)):
            client = Client(address, stranger)
            with client.channel, pytest.raises(grpc.RpcError) as caught:
                client.call("GetServices")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

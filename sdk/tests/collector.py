"""A small real receiver of OTLP over HTTP, whose answers a test chooses."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Reply(NamedTuple):
    """What is answered; `wait_s` before it."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    wait_s: float = 0.0


class Request(NamedTuple):
    """What came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    time_s: float


class Collector:
    """Requests as they came, and how they are answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._taken: list[Request] = []
        self.reply: Callable[[Request], Reply] = lambda request: Reply()
        self.url = ""

    @property
    def spans(self) -> list[Any]:
        """All spans of all requests that were taken or not."""
        return _spans_of(self.requests)

    @property
    def taken(self) -> list[Any]:
        """Those of the requests that were answered 200."""
        return _spans_of(self._taken)

    def answer(self, request: Request) -> Reply:
        """What is answered to a request, as the test chose, and after it has waited."""
        self.requests.append(request)
        reply = self.reply(request)
        time.sleep(reply.wait_s)
        if reply.status == 200:
            self._taken.append(request)
        return reply

    @property
    def records(self) -> list[Any]:
        """All log records."""
        return [
            record
            for request in self.requests if request.path == "/v1/logs"
            for resource in ExportLogsServiceRequest.FromString(request.body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]  # fmt: skip


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, time.monotonic())
            reply = collector.answer(request)
            self.send_response(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans_of(requests: list[Request]) -> list[Any]:
    return [
        span
        for request in requests if request.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]  # fmt: skip


def attributes_of(item: Any) -> dict[str, Any]:
    """The attributes of a span or record, as plain values."""
    found = {}
    for pair in item.attributes:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind) if kind else None
    return found

"""A real OTLP receiver on loopback, over gRPC and HTTP, that answers as a test tells it to.

It keeps every span and log record of the requests it took. `answer` sees each request and
returns how to answer it; without one everything is taken. With `tls` both transports are
encrypted, and clients must show a certificate of `client_ca`, else that same one.
"""

import gzip
import ssl
import threading
from collections.abc import Callable
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from tests.certificates import Certificate
from tests.ports import free_port


@dataclass(frozen=True)
class Reply:
    """How to answer: taken by default, else an error of both transports' codes."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    status: int = 200
    message: str = ""
    retry_after_s: int | None = None
    rejected: int = 0


THROTTLED = Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "slow down", retry_after_s=1)
UNAVAILABLE = Reply(grpc.StatusCode.UNAVAILABLE, 503, "starting")
BAD = Reply(grpc.StatusCode.INVALID_ARGUMENT, 400, "bad span")
TOO_LARGE = Reply(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, "message larger than max")
FAILED = Reply(grpc.StatusCode.INTERNAL, 500, "storage is broken")
UNAUTHENTICATED = Reply(grpc.StatusCode.UNAUTHENTICATED, 401, "no token")


@dataclass(frozen=True)
class Received:
    """One request as it came in; headers have lower-case names."""

    signal: str
    message: Any
    headers: dict[str, str]

    def names(self) -> list[str]:
        """The span names, or the event names of log records, in order."""
        if self.signal == "traces":
            return [
                span.name
                for resource in self.message.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        return [
            record.event_name
            for resource in self.message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


def _take(_: Received) -> Reply:
    return Reply()


@dataclass
class Sink:
    """The receiver; `grpc` and `http` are `host:port`, before it runs as well."""

    answer: Callable[[Received], Reply] = _take
    requests: list[Received] = field(default_factory=list)
    taken: list[Received] = field(default_factory=list)
    grpc: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    http: str = field(default_factory=lambda: f"127.0.0.1:{free_port()}")
    tls: Certificate | None = None
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Start both servers, on the same ports each time."""
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(self), self._grpc)
        logs_service_pb2_grpc.add_LogsServiceServicer_to_server(_Logs(self), self._grpc)
        self._add_port(self.grpc)
        self._grpc.start()
        address = ("127.0.0.1", int(self.http.rpartition(":")[2]))
        self._http = ThreadingHTTPServer(address, type("Handler", (_Handler,), {"sink": self}))
        self._http.daemon_threads = True
        if self.tls:
            trusted = self.client_ca or self.tls.certificate
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trusted)
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_cert_chain(self.tls.certificate, self.tls.key)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    def _add_port(self, address: str) -> None:
        if self.tls is None:
            self._grpc.add_insecure_port(address)
            return
        pair = (self.tls.key.read_bytes(), self.tls.certificate.read_bytes())
        trusted = (self.client_ca or self.tls.certificate).read_bytes()
        credentials = grpc.ssl_server_credentials([pair], trusted, require_client_auth=True)
        self._grpc.add_secure_port(address, credentials)

    def names(self) -> list[str]:
        """The names of everything taken, in order of arrival."""
        with self._lock:
            return [name for request in self.taken for name in request.names()]

    def receive(self, request: Received) -> Reply:
        """Decide on one request and keep it."""
        with self._lock:
            reply = self.answer(request)
            self.requests.append(request)
            if reply.code is grpc.StatusCode.OK:
                self.taken.append(request)
            return reply


def _response(signal: str, reply: Reply) -> Any:
    if signal == "traces":
        traces = trace_service_pb2.ExportTraceServiceResponse()
        if reply.rejected or reply.message:
            traces.partial_success.rejected_spans = reply.rejected
            traces.partial_success.error_message = reply.message
        return traces
    logs = logs_service_pb2.ExportLogsServiceResponse()
    if reply.rejected or reply.message:
        logs.partial_success.rejected_log_records = reply.rejected
        logs.partial_success.error_message = reply.message
    return logs


def _export(sink: Sink, signal: str, request: Any, context: grpc.ServicerContext) -> Any:
    headers = dict(context.invocation_metadata())
    reply = sink.receive(Received(signal, request, headers))
    if reply.code is grpc.StatusCode.OK:
        return _response(signal, reply)
    if reply.retry_after_s is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.seconds = reply.retry_after_s
        detail = any_pb2.Any()
        detail.Pack(info)
        status = status_pb2.Status(
            code=reply.code.value[0], message=reply.message, details=[detail]
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(reply.code, reply.message)
    return None


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _export(self._sink, "traces", request, context)


class _Logs(logs_service_pb2_grpc.LogsServiceServicer):  # type: ignore[misc]
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        return _export(self._sink, "logs", request, context)


_REQUESTS = {
    "/v1/traces": ("traces", trace_service_pb2.ExportTraceServiceRequest),
    "/v1/logs": ("logs", logs_service_pb2.ExportLogsServiceRequest),
}


class _Handler(BaseHTTPRequestHandler):
    sink: Sink
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        signal, kind = _REQUESTS[self.path]
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-encoding"] == "gzip"
        message = kind.FromString(gzip.decompress(body))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.sink.receive(Received(signal, message, headers))
        if reply.status == 200:
            data = _response(signal, reply).SerializeToString()
        else:
            data = status_pb2.Status(message=reply.message).SerializeToString()
        self.send_response(reply.status)
        if reply.retry_after_s is not None:
            self.send_header("retry-after", str(reply.retry_after_s))
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""

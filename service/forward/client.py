"""Sending one request to a target and reading its answer by the OTLP rules.

An answer is one of five: taken; *later* (wait and send again: the target is down or throttles);
*refused* (some event of the request cannot be taken); *failed* (an error inside the target, over
this request or not); *barred* (no event can be taken: credentials, a wrong path, another
service). OTLP would have a sender drop what failed or was barred, because it has to free its
memory; the log still has it, so the caller can wait first.

The generated messages are used on both transports: the SDK's exporters take other objects, and
hide `RetryInfo` and partial success.
"""

import contextlib
import gzip
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Protocol

import grpc
import httpx
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from events import names
from service.forward.backoff import asked_s
from service.forward.encode import Signal
from service.forward.target import Target

TIMEOUT_S: Final = 30.0
_ANSWER_LIMIT_BYTES: Final = 1 << 20


class Verdict(Enum):
    """What an answer means for the events of the request."""

    TAKEN = auto()
    LATER = auto()
    REFUSED = auto()
    FAILED = auto()
    BARRED = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A target's answer. `rejected` counts what a taken request lost by partial success."""

    verdict: Verdict
    message: str = ""
    retry_after_s: float = 0.0
    rejected: int = 0


class Client(Protocol):
    """A connection to one target; `send` from one thread at a time, `close` from any."""

    def send(self, signal: Signal, tenant: str, request: bytes) -> Answer:
        """Send one encoded request and wait for the answer; never raises for a bad answer."""
        ...

    def close(self) -> None:
        """Close the connection; a `send` under way ends with `LATER`."""
        ...


def connect(target: Target, *, timeout_s: float = TIMEOUT_S) -> Client:
    """A client for `target`; nothing is sent yet."""
    client = GrpcClient if target.transport == "grpc" else HttpClient
    return client(target, timeout_s)


_RESPONSES: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
}
_METHODS: Final[dict[Signal, str]] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_CHANNEL_OPTIONS: Final = (
    ("grpc.enable_retries", 0),  # retries are decided here, by RetryInfo
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 60_000),
)

_LATER_CODES: Final = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}
_FAILED_CODES: Final = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
_BARRED_CODES: Final = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}
_LATER_STATUSES: Final = {408, 429, 502, 503, 504}
_BARRED_STATUSES: Final = {401, 403, 404, 405, 407}


class GrpcClient:
    """OTLP over gRPC, gzipped."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._headers = target.headers
        if target.tls:
            tls = target.tls
            self._channel = grpc.secure_channel(
                target.authority,
                grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate),
                _CHANNEL_OPTIONS,
                grpc.Compression.Gzip,
            )
        else:
            self._channel = grpc.insecure_channel(
                target.authority, _CHANNEL_OPTIONS, grpc.Compression.Gzip
            )
        # The requests are bytes already, so these are the stubs' methods less their serializer.
        self._methods = {
            signal: self._channel.unary_unary(
                _METHODS[signal], response_deserializer=_RESPONSES[signal].FromString
            )
            for signal in target.signals
        }

    def send(self, signal: Signal, tenant: str, request: bytes) -> Answer:
        """See `Client.send`."""
        try:
            response = self._methods[signal](
                request,
                timeout=self._timeout_s,
                metadata=(*self._headers, (names.TENANT_HEADER, tenant)),
            )
        except grpc.RpcError as exc:
            return _read_grpc_error(exc)
        except ValueError:  # grpcio: the channel was closed under us
            return Answer(Verdict.LATER, "the connection was closed")
        return _read_response(response)

    def close(self) -> None:
        """See `Client.close`."""
        self._channel.close()


class HttpClient:
    """OTLP over HTTP with protobuf bodies, gzipped, on one kept connection; no proxy is asked."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._base = f"http{'s' if target.tls else ''}://{target.authority}{target.path}/v1/"
        self._client = httpx.Client(
            verify=target.tls.context() if target.tls else False,  # in plain text none is made
            timeout=timeout_s,
            trust_env=False,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
            headers={
                **dict(target.headers),
                "accept-encoding": "identity",
                "content-type": "application/x-protobuf",
                "content-encoding": "gzip",
                "user-agent": "spanledger",
            },
        )
        self._busy = threading.Lock()
        self._closed = False
        self._socket: socket.socket | None = None

    def send(self, signal: Signal, tenant: str, request: bytes) -> Answer:
        """See `Client.send`."""
        body = gzip.compress(request, 1, mtime=0)
        with self._busy:
            try:
                response, data = self._post(signal, tenant, body)
            except (httpx.HTTPError, OSError) as exc:
                return Answer(Verdict.LATER, f"{type(exc).__name__}: {exc}")
            except RuntimeError:  # httpx: the client was closed
                return Answer(Verdict.LATER, "the connection was closed")
            finally:
                if self._closed:
                    self._client.close()
        if response.is_success:
            return self._read_success(signal, data)
        return _read_http_error(response, data)

    def _post(self, signal: Signal, tenant: str, body: bytes) -> tuple[httpx.Response, bytes]:
        """The answer with its body; of one longer than any of OTLP's, the beginning."""
        with self._client.stream(
            "POST",
            f"{self._base}{signal}",
            content=body,
            headers={names.TENANT_HEADER: tenant},
            extensions={"trace": self._note_socket},
        ) as response:
            data = b""
            for part in response.iter_raw():
                data += part
                if len(data) >= _ANSWER_LIMIT_BYTES:
                    break
            return response, data

    def _note_socket(self, event: str, info: Mapping[str, Any]) -> None:
        """Keep what is connected: closing the client would not wake a thread that reads."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")

    def _read_success(self, signal: Signal, data: bytes) -> Answer:
        try:
            return _read_response(_RESPONSES[signal].FromString(data))
        except DecodeError:
            return Answer(Verdict.TAKEN, "the target's answer is not OTLP")

    def close(self) -> None:
        """See `Client.close`."""
        self._closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        if self._busy.acquire(blocking=False):  # else `send` closes it when it ends
            self._client.close()
            self._busy.release()


def _read_response(response: Any) -> Answer:
    partial = response.partial_success
    rejected = getattr(partial, "rejected_spans", 0) or getattr(partial, "rejected_log_records", 0)
    return Answer(Verdict.TAKEN, partial.error_message, rejected=rejected)


def _read_grpc_error(error: Any) -> Answer:
    code = error.code()
    message = f"{code.name}: {error.details()}"
    delay_s = None
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            delay_s = _retry_delay_s(value)
    if code in _LATER_CODES or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and delay_s is not None):
        return Answer(Verdict.LATER, message, delay_s or 0.0)
    if code in _FAILED_CODES:
        return Answer(Verdict.FAILED, message)
    return Answer(Verdict.BARRED if code in _BARRED_CODES else Verdict.REFUSED, message)


def _retry_delay_s(details: bytes) -> float | None:
    """The delay of a RetryInfo among a status's details; None without one."""
    with contextlib.suppress(DecodeError):
        for detail in status_pb2.Status.FromString(details).details:
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                delay_s: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return max(0.0, delay_s)
    return None


def _read_http_error(response: httpx.Response, data: bytes) -> Answer:
    status = response.status_code
    message = f"HTTP {status}: {_error_message(response, data)}"
    if status in _LATER_STATUSES:
        return Answer(Verdict.LATER, message, asked_s(response.headers.get("retry-after")))
    if status >= 500:
        return Answer(Verdict.FAILED, message)
    barred = status in _BARRED_STATUSES or status < 400
    return Answer(Verdict.BARRED if barred else Verdict.REFUSED, message)


def _error_message(response: httpx.Response, data: bytes) -> str:
    if response.headers.get("content-type", "").startswith("application/x-protobuf"):
        with contextlib.suppress(DecodeError):
            return str(status_pb2.Status.FromString(data).message)
    return data[:500].decode("utf-8", "replace").strip() or response.reason_phrase

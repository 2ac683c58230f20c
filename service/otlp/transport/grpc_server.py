"""OTLP over gRPC: the sync server, with raw bytes in and out.

Its handlers only queue and wait, in one pool whose width bounds what is outstanding; a message
is not read before a thread of the pool is free. gRPC itself decompresses gzip and deflate, up to
the bound of a message, and refuses other compressions.

An exporter that has nothing to send keeps its connection alive by pings. gRPC's own bound (one
in five minutes) would cut off those that collectors and SDKs send every 10 s; a ping costs less
than the connection that replaces it.
"""

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from events import names
from events.errors import QueueFull
from service.configuration.settings import Settings
from service.network.grpc import listen
from service.otlp.request import Encoding, Signal
from service.otlp.transport import answers
from service.otlp.transport.codes import message_of, status_of
from service.otlp.transport.intake import (
    COMMIT_TIMEOUT_S,
    Intake,
    count_answer,
    count_refusal,
    too_late,
)

_POOL_THREADS: Final = 128
_TENANT_THREADS: Final = 96
"""Of which so many may wait for one tenant's requests: others find a thread at any time."""
_SERVICES: Final = {
    trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].full_name: Signal.TRACES,
    logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"].full_name: Signal.LOGS,
    metrics_service_pb2.DESCRIPTOR.services_by_name["MetricsService"].full_name: Signal.METRICS,
}
_DETAILS: Final = "grpc-status-details-bin"
_PING_MS: Final = 1000
_PING_STRIKES: Final = 30
_KEEPALIVE: Final = (
    # Without a call and with one: a ping a second is welcome, more are struck off after a while.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", _PING_MS),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS),
    ("grpc.http2.max_ping_strikes", _PING_STRIKES),
)
_log = logging.getLogger(__name__)


class GrpcServer:
    """Serves TraceService, LogsService, MetricsService, health and reflection."""

    def __init__(self, settings: Settings, intake: Intake) -> None:
        self._settings = settings
        self._intake = intake
        self._health = health.HealthServicer(experimental_non_blocking=False)
        self._waiting: Counter[str] = Counter()  # requests in the pool, by tenant
        self._lock = threading.Lock()
        self._pool = futures.ThreadPoolExecutor(_POOL_THREADS, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            options=[
                ("grpc.so_reuseport", int(settings.workers > 1)),
                ("grpc.max_receive_message_length", settings.max_request_bytes),
                *_KEEPALIVE,
            ],
        )
        for name, signal in _SERVICES.items():
            self._serve(name, signal)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        known = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(known, self._server)

    def _serve(self, name: str, signal: Signal) -> None:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            return self._export(signal, body, context)

        handler = grpc.unary_unary_rpc_method_handler(export)
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(name, {"Export": handler}),)
        )

    def start(self) -> str:
        """Listen; `host:port` as bound.

        Raises:
            Unavailable: the port is taken.
            BadSetting: the certificates cannot be used.
        """
        settings = self._settings
        bound = listen(
            self._server, settings, settings.grpc_port, "OTLP over gRPC",
            shared=settings.workers > 1,
        )  # fmt: skip
        self._server.start()
        for name in ("", *_SERVICES):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        _log.info("listening", extra={"action": "start", "transport": "grpc", "address": bound})
        return bound

    def _export(self, signal: Signal, body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            answer = self._answer(signal, body, context)
        except Exception as exc:
            error = exc  # told below: every error has its code in the status table
        else:
            count_answer(signal, "grpc", grpc.StatusCode.OK.name)
            return answer
        code = status_of(error).grpc
        count_refusal(signal, error)
        count_answer(signal, "grpc", code.name)
        context.set_trailing_metadata(((_DETAILS, answers.failure(Encoding.PROTOBUF, error)),))
        context.abort(code, message_of(error))
        raise AssertionError("abort returned")

    def _answer(self, signal: Signal, body: bytes, context: grpc.ServicerContext) -> bytes:
        sent: dict[str, Any] = dict(context.invocation_metadata())
        tenant = self._intake.tenant(sent.get("authorization"), sent.get(names.TENANT_HEADER))
        with self._counted(tenant):
            waiting = self._intake.take(signal, Encoding.PROTOBUF, tenant, body)
            try:
                outcome = waiting.result(COMMIT_TIMEOUT_S)
            except TimeoutError:
                waiting.cancel()
                raise too_late() from None
        if outcome.position is not None:
            context.set_trailing_metadata(((names.POSITION_HEADER, str(outcome.position)),))
        return answers.success(signal, Encoding.PROTOBUF, outcome)

    @contextlib.contextmanager
    def _counted(self, tenant: str) -> Iterator[None]:
        """One request of `tenant` while it waits; it holds a thread of the pool."""
        with self._lock:
            if self._waiting[tenant] >= _TENANT_THREADS:
                raise QueueFull(f"{_TENANT_THREADS} requests of this tenant wait to be stored")
            self._waiting[tenant] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting[tenant] -= 1
                if not self._waiting[tenant]:
                    del self._waiting[tenant]

    def drain(self, deadline_s: float) -> None:
        """Take no new call and finish those under way within `deadline_s`."""
        self._health.enter_graceful_shutdown()
        self._server.stop(deadline_s).wait(deadline_s + 1.0)

    def close(self) -> None:
        """Stop at once; may be called twice and without `start`."""
        self._server.stop(None).wait(1.0)
        self._pool.shutdown(wait=False)

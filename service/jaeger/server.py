"""The gRPC server of the remote storage: who asks, for which tenant, and how errors are told."""

import logging
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from events import names
from events.metrics import REQUESTS
from service.access.tokens import TokenStore
from service.configuration.settings import Settings
from service.jaeger.messages import PACKAGE, POOL, Method, methods
from service.jaeger.storage import Storage
from service.network.grpc import listen
from service.otlp.transport.codes import INTERNAL, message_of, status_of
from service.traces.stored import StoredTraces

SERVICES: Final = ("TraceReader", "DependencyReader", "Capabilities")
_THREADS: Final = 16
_REQUEST_BYTES: Final = 1 << 20
_TENANTS: Final = ("x-tenant", names.TENANT_HEADER)
"""Jaeger's name for it goes first."""
_BEARERS: Final = ("authorization", "bearer.token")
"""The second holds what a user of Jaeger's page sent."""
_log = logging.getLogger(__name__)


class JaegerServer:
    """Serves the storage of one data folder."""

    def __init__(self, settings: Settings, tokens: TokenStore, port: int) -> None:
        self._settings = settings
        self._tokens = tokens
        self._port = port
        self._traces = StoredTraces(settings.data, settings.query_budget_s)
        self._storage = Storage(self._traces, settings.query_budget_s)
        self._health = health.HealthServicer(experimental_non_blocking=False)
        self._pool = futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="jaeger")
        self._server = grpc.server(
            self._pool,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", _REQUEST_BYTES),
            ],
        )
        for name in SERVICES:
            handlers = {method.name: self._handler(method) for method in methods(name)}
            generic = grpc.method_handlers_generic_handler(f"{PACKAGE}.{name}", handlers)
            self._server.add_generic_rpc_handlers((generic,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        known = (*(f"{PACKAGE}.{name}" for name in SERVICES), reflection.SERVICE_NAME)
        reflection.enable_server_reflection(known, self._server, pool=POOL)

    def start(self) -> str:
        """Listen; `host:port` as bound.

        Raises:
            Unavailable: the port is taken.
            BadSetting: the certificates cannot be used.
        """
        bound = listen(self._server, self._settings, self._port, "Jaeger's remote storage")
        self._server.start()
        for name in ("", *(f"{PACKAGE}.{service}" for service in SERVICES)):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        _log.info("listening", extra={"action": "start", "server": "jaeger", "address": bound})
        return bound

    def _handler(self, method: Method) -> grpc.RpcMethodHandler:
        work = getattr(self._storage, method.name)
        if method.is_stream:
            return grpc.unary_stream_rpc_method_handler(
                _Streamed(self._admit, work), request_deserializer=method.takes.FromString
            )
        return grpc.unary_unary_rpc_method_handler(
            _Single(self._admit, work),
            request_deserializer=method.takes.FromString,
            response_serializer=method.gives.SerializeToString,
        )

    def _admit(self, context: grpc.ServicerContext) -> str:
        """The tenant of a call; see `TokenStore.authorize` for what it raises."""
        sent: dict[str, Any] = dict(context.invocation_metadata())
        bearer = next((sent[name] for name in _BEARERS if name in sent), None)
        tenant = next((sent[name] for name in _TENANTS if name in sent), None)
        return self._tokens.authorize(bearer, "read", tenant)

    def drain(self, deadline_s: float) -> None:
        """Take no new call and finish those under way within `deadline_s`."""
        self._health.enter_graceful_shutdown()
        self._server.stop(deadline_s).wait(deadline_s + 1.0)

    def close(self) -> None:
        """Stop at once; may be called twice and without `start`."""
        self._server.stop(None).wait(1.0)
        self._pool.shutdown(wait=False)
        self._traces.close()


class _Call:
    """A method as gRPC calls it."""

    def __init__(
        self, admit: Callable[[grpc.ServicerContext], str], work: Callable[[Any, str], Any]
    ) -> None:
        self._admit = admit
        self._work = work

    @staticmethod
    def _told(error: Exception, context: grpc.ServicerContext) -> None:
        """End the call with the code of an error."""
        status = status_of(error)
        if status is INTERNAL:
            _log.error("request failed", extra={"action": "jaeger"}, exc_info=error)
        _count(status.grpc)
        context.abort(status.grpc, message_of(error))


class _Single(_Call):
    def __call__(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            answer = self._work(request, self._admit(context))
        except Exception as exc:
            error = exc  # told below: every error has its code in the status table
        else:
            _count(grpc.StatusCode.OK)
            return answer
        return self._told(error, context)


class _Streamed(_Call):
    def __call__(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            for part in self._work(request, self._admit(context)):
                if not context.is_active():
                    return
                yield part
        except Exception as exc:
            error = exc
        else:
            _count(grpc.StatusCode.OK)
            return
        self._told(error, context)


def _count(code: grpc.StatusCode) -> None:
    REQUESTS.labels("jaeger", "grpc", code.name).inc()

"""The HTTP server around the OTLP application: uvicorn in a thread and loop of its own."""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from events.errors import BadSetting, Unavailable
from service.otlp.addresses import authority, bind
from service.otlp.http_app import HttpApp
from service.otlp.intake import Intake
from service.settings import Settings

_START_S: Final = 10.0
_HEADERS_S: Final = 15.0
_HEADERS_BYTES: Final = 64 << 10
_CONNECTIONS: Final = 2048
_log = logging.getLogger(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on the time and size of a request's headers."""

    headers_s = _HEADERS_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._header_timer is not None:
            self._header_bytes += len(data)
            if self._header_bytes > _HEADERS_BYTES:
                self._hang_up()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        self._headers_came()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.headers_s, self._hang_up)

    def _headers_came(self) -> None:
        self._header_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _hang_up(self) -> None:
        self._headers_came()
        self.transport.close()


class HttpServer:
    """Serves the OTLP paths; `body_timeout_s` bounds how long a body may take to arrive."""

    def __init__(self, settings: Settings, intake: Intake, *, body_timeout_s: float = 30.0) -> None:
        self._settings = settings
        self._app = HttpApp(settings, intake, body_timeout_s=body_timeout_s)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Listen; `host:port` as bound.

        Raises:
            Unavailable: the port is taken.
            BadSetting: the certificates cannot be used.
        """
        settings = self._settings
        listener = bind(settings.host, settings.http_port, shared=settings.workers > 1)
        config = self._config()
        try:
            config.load()
        except (OSError, ssl.SSLError) as exc:
            listener.close()
            raise BadSetting(f"the certificates cannot be used: {exc}") from exc
        server = self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=_run, args=(config, server.serve([listener])), name="otlp-http", daemon=True
        )
        self._thread.start()
        ends_s = time.monotonic() + _START_S
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > ends_s:
                raise Unavailable("OTLP over HTTP did not start; the log says why")
            time.sleep(0.005)
        bound = authority(settings.host, listener.getsockname()[1])
        _log.info("listening", extra={"action": "start", "transport": "http", "address": bound})
        return bound

    def _config(self) -> uvicorn.Config:
        settings = self._settings
        client_ca = settings.tls_client_ca
        return uvicorn.Config(
            self._app,
            http=BoundedProtocol,
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            limit_concurrency=_CONNECTIONS,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            ssl_ca_certs=None if client_ca is None else str(client_ca),
            ssl_cert_reqs=ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
        )

    def drain(self, deadline_s: float) -> None:
        """Take no new connection and finish the requests under way within `deadline_s`."""
        if self._server is None or self._thread is None:
            return
        self._server.config.timeout_graceful_shutdown = max(1, int(deadline_s))
        self._server.should_exit = True
        self._thread.join(deadline_s + 1.0)

    def close(self) -> None:
        """Stop at once; may be called twice and without `start`."""
        if self._server is not None:
            self._server.force_exit = True
        self.drain(0.0)
        self._app.close()


def _run(config: uvicorn.Config, serving: Coroutine[Any, Any, None]) -> None:
    make_loop = config.get_loop_factory()
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(serving)
    except Exception:
        _log.exception("OTLP over HTTP stopped", extra={"action": "stop", "transport": "http"})

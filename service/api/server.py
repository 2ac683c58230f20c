"""The API's server: uvicorn in a thread of its own, on a socket that is bound before it starts."""

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from typing import Final

import uvicorn

from events.errors import BadSetting, Unavailable
from service.api.app import Application, create_app
from service.api.system import Probe
from service.settings import Settings
from service.tokens import TokenStore

_START_S: Final = 30.0
_log = logging.getLogger(__name__)


class ApiServer:
    """Serves the API from `start` to `close`."""

    def __init__(self, settings: Settings, tokens: TokenStore, *, probe: Probe) -> None:
        self._settings = settings
        self._app: Application = create_app(settings, tokens, probe=probe)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> str:
        """Bind and serve.

        Returns:
            `host:port` as bound.

        Raises:
            Unavailable: the address is in use or does not exist here.
            BadSetting: the certificates cannot be used.
        """
        config = self._config()
        try:
            config.load()
        except OSError as exc:  # ssl.SSLError is one
            raise BadSetting(f"the certificates cannot be used: {exc}") from exc
        listener = _bind(self._settings.host, self._settings.api_port)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="api", daemon=True
        )
        self._thread.start()
        ends = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > ends:
                raise Unavailable("the API did not start; the log says why")
            time.sleep(0.005)
        host, port = listener.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def drain(self) -> None:
        """End the live streams, take no new connection, finish what was asked."""
        if self._server is None or self._loop is None or not self._loop.is_running():
            return
        closing = asyncio.run_coroutine_threadsafe(self._app.feed.close(), self._loop)
        with contextlib.suppress(TimeoutError):
            closing.result(timeout=self._settings.drain_s)
        self._server.should_exit = True

    def close(self) -> None:
        """Drain and stop; may be called twice."""
        self.drain()
        if self._thread is not None:
            self._thread.join(self._settings.drain_s + 5.0)
            self._thread = None

    def _serve(self, listener: socket.socket) -> None:
        async def serve() -> None:
            assert self._server is not None
            self._loop = asyncio.get_running_loop()
            await self._server.serve(sockets=[listener])

        try:
            asyncio.run(serve())
        except Exception:
            _log.exception("the API stopped", extra={"action": "api"})
        finally:
            listener.close()

    def _config(self) -> uvicorn.Config:
        settings = self._settings
        return uvicorn.Config(
            self._app,
            host=settings.host,
            port=settings.api_port,
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=max(1, round(settings.drain_s)),
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            ssl_ca_certs=None if settings.tls_client_ca is None else str(settings.tls_client_ca),
            ssl_cert_reqs=ssl.CERT_NONE if settings.tls_client_ca is None else ssl.CERT_REQUIRED,
        )


def _bind(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise Unavailable(f"the API cannot listen on {host}:{port}: {exc}") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as exc:
        listener.close()
        raise Unavailable(f"the API cannot listen on {host}:{port}: {exc.strerror}") from exc
    return listener

"""An ASGI application served by uvicorn, in a thread and loop of its own."""

import asyncio
import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Coroutine
from typing import Any, Final, Literal

import uvicorn

from events.errors import BadSetting, Unavailable
from service.configuration.settings import Settings
from service.network.addresses import addresses, authority, bind
from service.network.protocol import BoundedProtocol

_START_S: Final = 30.0
_CONNECTIONS: Final = 2048
_log = logging.getLogger(__name__)


class WebServer:
    """Serves `app` on the settings' host from `start` to `close`.

    Args:
        name: what it is, in messages and threads.
        shared: let other workers listen on the port as well.
        lifespan: `on` for an application that is told of start and shutdown.
    """

    def __init__(
        self,
        app: Any,
        settings: Settings,
        port: int,
        name: str,
        *,
        shared: bool = False,
        lifespan: Literal["on", "off"] = "off",
    ) -> None:
        self._settings = settings
        self._port = port
        self._name = name
        self._shared = shared
        self._config = _configure(app, settings, lifespan)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> str:
        """Listen; `host:port` as bound.

        Raises:
            Unavailable: the port is taken, or the address is not of this machine.
            BadSetting: the certificates cannot be used.
        """
        try:
            self._config.load()
        except OSError as exc:  # ssl.SSLError is one
            raise BadSetting(f"the certificates cannot be used: {exc}") from exc
        listeners = bind(self._settings.host, self._port, shared=self._shared)
        server = self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(
            target=self._run, args=(server.serve(listeners),), name=self._name, daemon=True
        )
        self._thread.start()
        ends_s = time.monotonic() + _START_S
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > ends_s:
                raise Unavailable(f"{self._name} did not start; the log says why")
            time.sleep(0.005)
        port = listeners[0].getsockname()[1]
        bound = authority(addresses(self._settings.host)[0], port)
        _log.info("listening", extra={"action": "start", "server": self._name, "address": bound})
        return bound

    def _run(self, serving: Coroutine[Any, Any, None]) -> None:
        try:
            with asyncio.Runner(loop_factory=self._config.get_loop_factory()) as runner:
                self._loop = runner.get_loop()
                runner.run(serving)
        except Exception:
            _log.exception("server stopped", extra={"action": "stop", "server": self._name})

    def run_in_loop(self, work: Coroutine[Any, Any, Any], timeout_s: float) -> None:
        """Do `work` on the server's loop and wait for it, if the server runs."""
        if self._loop is None or not self._loop.is_running():
            work.close()
            return
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        with contextlib.suppress(TimeoutError):
            doing.result(timeout_s)

    def drain(self, deadline_s: float) -> None:
        """Take no new connection and finish the requests under way within `deadline_s`."""
        if self._server is None or self._thread is None:
            return
        self._config.timeout_graceful_shutdown = max(1, int(deadline_s))
        self._server.should_exit = True
        self._thread.join(deadline_s + 1.0)

    def close(self) -> None:
        """Stop at once; may be called twice and without `start`."""
        if self._server is not None:
            self._server.force_exit = True
        self.drain(0.0)


def _configure(app: Any, settings: Settings, lifespan: Literal["on", "off"]) -> uvicorn.Config:
    client_ca = settings.tls_client_ca
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        loop="auto",
        ws="none",
        lifespan=lifespan,
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        limit_concurrency=_CONNECTIONS,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if client_ca is None else str(client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if client_ca is None else ssl.CERT_REQUIRED,
    )

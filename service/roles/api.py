"""The API: queries over HTTP, the live tail, health, metrics, and writes by the writer's door;
beside it, on a port of its own, MCP."""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from events.errors import SpanledgerError, Unavailable
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.reading import is_loopback
from service.configuration.settings import Settings
from service.control.locks import is_held
from service.control.socket import call, instances
from service.mcp.http import McpServer
from service.network.endpoints import SUPERVISOR
from service.roles import Place
from service.roles.declaration import ROLES
from service.telemetry.gathering import Gatherer

_log = logging.getLogger(__name__)
_PING_S: Final = 2.0
_METRICS_S: Final = 5.0
"""Longer than the supervisor waits for processes that hang."""
_NO_ROLES: Final = frozenset({"door", SUPERVISOR})
"""Names that are listened on, and not by a role's control socket."""
_MCP: Final = next(port for port in ROLES["api"].ports if port.name == "mcp")


class ApiRole:
    """Serves the API in threads of this process."""

    locks = ()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: ApiServer | None = None
        self._mcp: McpServer | None = None
        self._closing = contextlib.ExitStack()

    def start(self) -> dict[str, str]:
        data = self._settings.data
        tokens = TokenStore(
            data / "tokens.json", open_without_tokens=is_loopback(self._settings.host)
        )
        self._server = ApiServer(
            self._settings,
            tokens,
            probe=lambda role: require_role(data, role),
            metrics=self._metrics_of(data),
        )
        ports = {"api": self._server.start()}
        threading.Thread(target=self._begin, name="policies", daemon=True).start()
        return ports | self._start_mcp(tokens)

    def _begin(self) -> None:
        """What need not be done before questions are answered."""
        if self._server is not None:
            self._server.classifier()  # else the first decision would wait for it
            self._server.policies.begin()

    def _start_mcp(self, tokens: TokenStore) -> dict[str, str]:
        """Serve MCP if its port is on, and is free or was asked for."""
        port = _MCP.number(self._settings)
        if port is None:
            return {}
        self._mcp = McpServer(self._settings, port, tokens)
        try:
            return {"mcp": self._mcp.start()}
        except Unavailable as exc:
            if _MCP.is_asked_for(self._settings):
                raise
            _log.warning("port left out", extra={"action": "port", "error": str(exc)})
            return {}

    def _metrics_of(self, data: Path) -> Callable[[], str]:
        """Who tells the metrics of the service: its supervisor, or this process without one."""
        if is_held(data, SUPERVISOR):
            return lambda: str(call(data, SUPERVISOR, "metrics", timeout_s=_METRICS_S))
        gatherer = Gatherer(data, "api", lambda: {*instances(data)} - _NO_ROLES)
        self._closing.enter_context(gatherer.gathering())
        return gatherer.text

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {} if self._server is None else self._server.policies.handlers()

    def drain(self, deadline_s: float) -> None:
        if self._mcp is not None:
            self._mcp.drain(deadline_s / 2)
        if self._server is not None:
            self._server.drain(deadline_s / 2)

    def close(self) -> None:
        self._closing.close()
        if self._mcp is not None:
            self._mcp.close()
        if self._server is not None:
            self._server.close()


def require_role(data: Path, role: str) -> None:
    """See to it that an instance of `role` works: that it answers what its readiness asks.

    Raises:
        Unavailable: none does.
    """
    question = ROLES[role].readiness
    failure: SpanledgerError = Unavailable(f"no {role} of {data} runs")
    for instance in instances(data, role):
        try:
            call(data, instance, question, timeout_s=_PING_S)
            return
        except SpanledgerError as exc:
            failure = exc
    raise failure


def build(settings: Settings, place: Place) -> ApiRole:
    """See `service.roles.build`."""
    return ApiRole(settings)

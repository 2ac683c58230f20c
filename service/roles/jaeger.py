"""Jaeger's remote storage: traces and searches for a stock Jaeger, over gRPC."""

from collections.abc import Callable, Mapping
from typing import Any

from service.access.tokens import TokenStore
from service.configuration.reading import is_loopback
from service.configuration.settings import Settings
from service.jaeger.server import JaegerServer
from service.roles import Place
from service.roles.declaration import ROLES


class JaegerRole:
    """Serves Jaeger in threads of this process."""

    locks = ()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: JaegerServer | None = None

    def start(self) -> dict[str, str]:
        settings = self._settings
        tokens = TokenStore(
            settings.data / "tokens.json", open_without_tokens=is_loopback(settings.host)
        )
        (port,) = ROLES["jaeger"].ports
        self._server = JaegerServer(settings, tokens, port.number(settings) or 0)
        return {port.name: self._server.start()}

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {}

    def drain(self, deadline_s: float) -> None:
        if self._server is not None:
            self._server.drain(deadline_s)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


def build(settings: Settings, place: Place) -> JaegerRole:
    """See `service.roles.build`."""
    return JaegerRole(settings)

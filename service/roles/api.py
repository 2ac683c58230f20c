"""The API: queries over HTTP, the live tail, health and metrics. It only reads."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from events.errors import SpanledgerError, Unavailable
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.reading import is_loopback
from service.configuration.settings import Settings
from service.control.socket import call, instances
from service.roles import Place

_PING_S: Final = 2.0


class ApiRole:
    """Serves the API in threads of this process."""

    locks = ()

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: ApiServer | None = None

    def start(self) -> dict[str, str]:
        data = self._settings.data
        tokens = TokenStore(
            data / "tokens.json", open_without_tokens=is_loopback(self._settings.host)
        )
        self._server = ApiServer(
            self._settings, tokens, probe=lambda role: require_role(data, role)
        )
        return {"api": self._server.start()}

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {}

    def drain(self, deadline_s: float) -> None:
        if self._server is not None:
            self._server.drain(deadline_s)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


def require_role(data: Path, role: str) -> None:
    """See to it that an instance of `role` answers and, if it is the writer, takes events.

    Raises:
        Unavailable: none does.
    """
    question = "writable" if role == "writer" else "ping"
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

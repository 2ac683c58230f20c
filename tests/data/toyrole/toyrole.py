"""A role of one small server: whoever connects is greeted."""

import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from service.configuration.settings import Settings
from service.roles import Place


class Toy:
    """Greets on its port."""

    locks = ("toy",)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener: socket.socket | None = None

    def start(self) -> dict[str, str]:
        port = self._settings.of_role("toy_port", 0)
        self._listener = socket.create_server((self._settings.host, port))
        threading.Thread(target=self._greet, args=(self._listener,), daemon=True).start()
        host, number = self._listener.getsockname()
        return {"toy": f"{host}:{number}"}

    def _greet(self, listener: socket.socket) -> None:
        words = self._settings.of_role("toy_greeting", "hello").encode()
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return  # closed
            with peer:
                peer.sendall(words)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return {}

    def drain(self, deadline_s: float) -> None:
        pass

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()


def build(settings: Settings, place: Place) -> Toy:
    """See `service.roles.build`."""
    return Toy(settings)

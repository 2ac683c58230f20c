"""The receiver: OTLP in. A single one holds the writer too, several reach it through its door."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from events.errors import Unavailable
from events.log.port import Door
from events.log.socket import DoorClient
from service.access.tokens import TokenStore
from service.configuration.reading import is_loopback
from service.configuration.settings import Settings
from service.control.socket import socket_path
from service.otlp.receiver import Receiver
from service.roles import Place
from service.roles.writer import Writer
from service.telemetry.spans import traced_door

_DOOR_WAIT_S: Final = 600.0
"""A writer with many events to index takes its time to open the door."""
_PAUSE_S: Final = 0.05
_SWITCH_S: Final = 0.001
"""How long a thread keeps the interpreter's lock while others want it (5 ms by default). A request
takes it thrice: beside a tenant that floods, each time behind the thread that decodes."""


class ReceiverRole:
    """Receives into the writer of this process, or into the door of another."""

    def __init__(self, settings: Settings, place: Place) -> None:
        writer = Writer(settings) if place.instance == "receiver" else None
        self._settings = settings
        self._instance = place.instance
        self._stopping = place.stopping
        self._writer = writer
        self._client: DoorClient | None = None
        self._receiver: Receiver | None = None
        self.locks = writer.locks if writer else ()

    def start(self) -> dict[str, str]:
        sys.setswitchinterval(_SWITCH_S)
        if self._settings.pin_receivers:
            _pin(self._instance)
        tokens = TokenStore(
            self._settings.data / "tokens.json",
            open_without_tokens=is_loopback(self._settings.host),
        )
        self._receiver = Receiver(self._settings, self._open_door(), tokens)
        return dict(self._receiver.start())

    def _open_door(self) -> Door:
        if self._writer is not None:
            self._writer.start()
            return self._writer.door
        deadline_s = time.monotonic() + _DOOR_WAIT_S
        while True:
            try:
                self._client = DoorClient(socket_path(self._settings.data, "door"))
                return traced_door(self._client)
            except Unavailable:
                if time.monotonic() > deadline_s or self._stopping.wait(_PAUSE_S):
                    raise

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        own = self._receiver.handlers() if self._receiver else {}
        return {**(self._writer.handlers() if self._writer else {}), **own}

    def drain(self, deadline_s: float) -> None:
        deadline = time.monotonic() + deadline_s
        if self._receiver is not None:
            self._receiver.drain(deadline_s)
        if self._writer is not None:
            self._writer.drain(max(deadline - time.monotonic(), 0.1))

    def close(self) -> None:
        for part in (self._receiver, self._client, self._writer):
            if part is not None:
                part.close()


def _pin(instance: str) -> None:
    """Keep this process on one processor, workers on one each.

    Dozens of threads hand one interpreter lock around. Spread over two processors they spend
    more on that than on requests: half the single-span requests a second, measured.
    """
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        number = int(instance.partition("-")[2] or 1)
        os.sched_setaffinity(0, {allowed[(number - 1) % len(allowed)]})


def build(settings: Settings, place: Place) -> ReceiverRole:
    """See `service.roles.build`."""
    return ReceiverRole(settings, place)

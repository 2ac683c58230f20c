"""The forwarder: sends on what the log holds; the only writer of `forward.db`."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from events.log.port import LogReader
from events.log.reader import open_reader
from service.configuration.settings import Settings
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve_all
from service.roles import Place


class ForwarderRole:
    """Runs a Forwarder in a thread."""

    locks = ("forwarder",)

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self._fail = place.fail
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._operations: Operations | None = None

    def start(self) -> dict[str, str]:
        data = self._settings.data

        def open_log() -> LogReader:
            return open_reader(data)

        forwarder = Forwarder(data, resolve_all(self._settings.forward), open_log)
        self._operations = Operations(
            forwarder.store, open_log, conditions=forwarder.conditions, wake=forwarder.wake
        )
        self._thread = threading.Thread(
            target=self._run, args=(forwarder,), name="forwarder", daemon=True
        )
        self._thread.start()
        return {}

    def _run(self, forwarder: Forwarder) -> None:
        try:
            forwarder.run(self._stop)
        except Exception as exc:
            self._fail(exc)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return self._operations.handlers() if self._operations else {}

    def drain(self, deadline_s: float) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(deadline_s)

    def close(self) -> None:
        self._stop.set()


def build(settings: Settings, place: Place) -> ForwarderRole:
    """See `service.roles.build`."""
    return ForwarderRole(settings, place)

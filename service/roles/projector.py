"""The projector: folds the log into views, and watches for attempts whose worker is gone."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from events.log.port import Door
from events.log.reader import open_reader
from events.log.socket import DoorClient
from projections.daemon import Projector
from service.control import socket_path
from service.projector import Operations, build_projector
from service.roles import Place
from service.settings import Settings
from service.watcher import Watcher


class ProjectorRole:
    """Runs a Projector and a Watcher, in a thread each."""

    locks = ("projector",)

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self._fail = place.fail
        self._stop = threading.Event()
        self._projector = build_projector(settings.data, settings.rollback_s)
        self._watcher = self._make_watcher()
        self._threads: list[threading.Thread] = []

    def _make_watcher(self) -> Watcher:
        data = self._settings.data

        def open_door() -> Door:
            return DoorClient(socket_path(data, "door"))

        return Watcher(
            data,
            lambda: open_reader(data),
            open_door,
            heartbeat_interval_s=self._settings.heartbeat_interval_s,
        )

    def start(self) -> dict[str, str]:
        for part in (self._projector, self._watcher):
            thread = threading.Thread(
                target=self._run, args=(part,), name=type(part).__name__.lower(), daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return {}

    def _run(self, part: Projector | Watcher) -> None:
        try:
            part.run(self._stop)
        except Exception as exc:
            self._fail(exc)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return Operations(self._projector).handlers()

    def drain(self, deadline_s: float) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(deadline_s)

    def close(self) -> None:
        self._stop.set()


def build(settings: Settings, place: Place) -> ProjectorRole:
    """See `service.roles.build`."""
    return ProjectorRole(settings, place)

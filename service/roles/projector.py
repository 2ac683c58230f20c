"""The projector: the only writer of the views. The watcher of heartbeats lives beside it."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import Any, Final

from events.errors import SpanledgerError, Unavailable
from events.log.port import Door, LogReader
from events.log.reader import open_reader
from events.log.socket import DoorClient
from projections.engine.projector import Projector
from service.append.appender import Appender
from service.configuration.settings import Settings
from service.control.projector import Operations
from service.control.socket import call, socket_path
from service.mappings.applying import Applying
from service.reactors.watcher import Watcher
from service.roles import Place
from service.roles.folding import folds_of

_PAUSE_S: Final = 0.05
_CATCH_UP_S: Final = 2.0
_CLOSE_S: Final = 1.0


class ProjectorRole:
    """Runs a Projector and a Watcher in a thread each."""

    locks = ("projector",)

    def __init__(self, settings: Settings, place: Place) -> None:
        self._fail = place.fail
        self._stopping = place.stopping
        self._data = settings.data
        self._stop = threading.Event()
        self._applying = Applying(settings.data, settings.mappings)
        self._make_folds = folds_of(settings, self._applying)
        self._projector = Projector(
            settings.data, self._open_log, self._make_folds,
            rollback_s=settings.rollback_s, apart=settings.apart,
        )  # fmt: skip
        self._watcher = Watcher(
            settings.data, self._open_log, Appender(settings, self._open_door),
            heartbeat_interval_s=settings.heartbeat_interval_s, heard_again=self._heard_again,
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=self._run, args=(part.run,), name=name, daemon=True)
            for name, part in (("projector", self._projector), ("watcher", self._watcher))
        ]

    def _open_log(self) -> LogReader:
        return open_reader(self._data)

    def _open_door(self) -> Door:
        return DoorClient(socket_path(self._data, "door"))

    def _heard_again(self, ids: Collection[bytes], within_ns: int) -> set[bytes] | None:
        found = call(
            self._data, "writer", "heard-again", ids=[one.hex() for one in ids], within_ns=within_ns
        )
        return None if found is None else set(map(bytes.fromhex, found))

    def _run(self, part: Callable[[threading.Event], None]) -> None:
        try:
            part(self._stop)
        except Exception as exc:
            self._fail(exc)

    def start(self) -> dict[str, str]:
        self._await_log()
        self._applying.begin()
        for thread in self._threads:
            thread.start()
        return {}

    def _await_log(self) -> None:
        """The first start of a service makes the log in another process, at the same time."""
        while not self._stopping.wait(_PAUSE_S):
            try:
                self._open_log().close()
                return
            except Unavailable:
                continue

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        own = self._applying.handlers(self._projector)
        return {**Operations(self._projector, self._make_folds).handlers(), **own}

    def drain(self, deadline_s: float) -> None:
        """Catch up a little with what was stored last, so that a new start finds less to do."""
        ends_s = time.monotonic() + deadline_s
        with contextlib.suppress(SpanledgerError):  # what is missing is folded at the next start
            with closing(self._open_log()) as reader:
                head = reader.head().position
            patience_s = max(min(_CATCH_UP_S, deadline_s - _CLOSE_S), 0.0)
            self._projector.wait(head, timeout_s=patience_s)
        self._stop.set()
        for thread in self._threads:
            thread.join(max(ends_s - time.monotonic(), 0.1))

    def close(self) -> None:
        self._stop.set()
        self._projector.close()


def build(settings: Settings, place: Place) -> ProjectorRole:
    """See `service.roles.build`."""
    return ProjectorRole(settings, place)

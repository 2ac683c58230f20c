"""Running one role in this process, from its locks to its end.

Order: locks, start, control socket, ready, … told to stop, drain, close, control socket, locks.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

from events.errors import SpanledgerError
from projections.engine.tuning import tune_collector
from service.configuration.settings import Settings
from service.control.locks import RoleLock
from service.control.socket import ControlServer, socket_path
from service.installation.version import VERSION
from service.roles import Place, build
from service.telemetry import spans as telemetry
from service.telemetry.samples import scrape

Handlers = Mapping[str, Callable[..., Any]]
Report = Callable[[dict[str, str]], None]
# A killed service's processes may live on for a second; the next ones wait for their locks.
_LOCK_WAIT_S: Final = 3.0
_GRACE_S: Final = 0.5
_log = logging.getLogger(__name__)


class Stop:
    """The word to stop: once, with a deadline; later words may only shorten it."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._deadline_s = float("inf")
        self.failure: BaseException | None = None

    def ask(self, within_s: float) -> None:
        """Stop within `within_s` seconds; a little later the process ends, finished or not."""
        deadline_s = time.monotonic() + within_s
        if deadline_s >= self._deadline_s:
            return
        self._deadline_s = deadline_s
        timer = threading.Timer(within_s + _GRACE_S, os._exit, (1,))
        timer.daemon = True
        timer.start()
        self.asked.set()

    def fail(self, error: BaseException) -> None:
        """Stop, because a part of the role ended with `error`."""
        _log.critical("role failed", extra={"action": "role"}, exc_info=error)
        self.failure = error
        self.ask(1.0)

    def wait(self) -> float:
        """Wait for the word; returns the seconds that are left then."""
        self.asked.wait()
        return max(self._deadline_s - time.monotonic(), 0.05)


def run(
    instance: str, settings: Settings, stop: Stop, report: Report, *, locked: Collection[str] = ()
) -> None:
    """Run `instance` until told to stop; `report` hears its ports once it is ready.

    Args:
        locked: the locks, by name, that the caller holds meanwhile; the others are taken here.

    Raises:
        SpanledgerError: it could not start, or what it does failed.
    """
    started_s = time.monotonic()
    telemetry.start(settings.telemetry_endpoint, instance)
    role = build(settings, Place(instance, stop.fail, stop.asked))
    with contextlib.ExitStack() as held:
        for name in sorted({*role.locks, instance} - {*locked}):
            held.enter_context(RoleLock(settings.data, name, wait_s=_LOCK_WAIT_S))
        held.callback(telemetry.stop)
        held.callback(role.close)
        ports = role.start()
        tune_collector()
        for name in sorted({*role.locks, instance}):
            held.enter_context(_control(name, instance, settings, role.handlers(), ports))
        _log.info("ready", extra={"action": "ready", "seconds": _since(started_s), **ports})
        report(ports)
        left_s = stop.wait()
        _log.info("draining", extra={"action": "drain", "seconds": round(left_s, 1)})
        role.drain(left_s)
    _log.info("stopped", extra={"action": "stop", "seconds": _since(started_s)})
    if stop.failure is not None:
        raise stop.failure


@contextlib.contextmanager
def _control(
    name: str, instance: str, settings: Settings, handlers: Handlers, ports: dict[str, str]
) -> Iterator[None]:
    """Listen as `name`: a receiver that holds the writer is asked as either."""

    def ping() -> dict[str, Any]:
        return {"instance": instance, "pid": os.getpid(), "version": VERSION, "ports": ports}

    own = {"ping": ping, "metrics": lambda: scrape(instance)}
    server = ControlServer(socket_path(settings.data, name), {**handlers, **own})
    server.start()
    try:
        yield
    finally:
        server.close()


def _since(started_s: float) -> float:
    return round(time.monotonic() - started_s, 3)


def kind_of(error: BaseException) -> str:
    """How a failure at the start is told to a parent: the class of an error of ours."""
    expected = isinstance(error, SpanledgerError | OSError | sqlite3.Error)
    return type(error).__name__ if expected else ""

"""The alerts: evaluates rules on the views and tells receivers; the only writer of `alerts.db`."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from typing import Any, Final

from events.errors import Unavailable
from events.log.socket import DoorClient
from service.alerts.engine import Engine, open_engine
from service.alerts.file import load
from service.alerts.place import rules_file
from service.alerts.sending.guard import networks_of
from service.append.appender import Appender
from service.configuration.settings import Settings
from service.control.socket import socket_path
from service.roles import Place

_ANSWER_S: Final = 90.0
"""Longer than the longest time of a receiver."""


class AlertsRole:
    """Runs the engine in an event loop, in a thread."""

    locks = ("alerts",)

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self._fail = place.fail
        self._allowed = networks_of(settings.of_role("alerts_allow", ()))
        self._path = rules_file(settings) or settings.data
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._engine: Engine | None = None
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> dict[str, str]:
        """Read the rules first: what is wrong with them is told at the start."""
        load(self._path)
        self._thread.start()
        self._ready.wait()
        return {}

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as exc:
            self._fail(exc)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        data = self._settings.data
        appender = Appender(self._settings, lambda: DoorClient(socket_path(data, "door")))
        self._stop = asyncio.Event()
        async with open_engine(data, self._path, appender, self._allowed) as engine:
            self._engine, self._loop = engine, asyncio.get_running_loop()
            self._ready.set()
            await engine.run(self._stop)

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        def reload() -> Any:
            return self._ask(lambda engine: engine.reload())

        def test(receiver: str) -> Any:
            return self._ask(lambda engine: engine.test(receiver))

        def retry(receiver: str) -> Any:
            return self._ask(lambda engine: engine.retry(receiver))

        def status() -> Any:
            return self._ask(lambda engine: engine.status())

        return {"reload": reload, "test": test, "retry": retry, "status": status}

    def _ask(self, what: Callable[[Engine], Coroutine[Any, Any, Any]]) -> Any:
        """Let the loop answer; called in any thread."""
        if self._engine is None or self._loop is None or not self._thread.is_alive():
            raise Unavailable("the alerts are just starting or ending")
        answer: Future[Any] = asyncio.run_coroutine_threadsafe(what(self._engine), self._loop)
        try:
            return answer.result(_ANSWER_S)
        except TimeoutError as exc:
            answer.cancel()  # nobody waits for it any more
            raise Unavailable(f"the alerts did not answer within {_ANSWER_S:g} s") from exc

    def drain(self, deadline_s: float) -> None:
        """End after the evaluation under way; what was not delivered is at the next start."""
        self._end()
        self._thread.join(deadline_s)

    def _end(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)

    def close(self) -> None:
        self._end()


def build(settings: Settings, place: Place) -> AlertsRole:
    """See `service.roles.build`."""
    return AlertsRole(settings, place)

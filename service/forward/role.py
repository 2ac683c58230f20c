"""The forwarder's role: its targets, its control socket, its life.

The caller holds the role's lock; whoever has it is the only writer of `forward.db`.
"""

import threading
from collections.abc import Callable

from events.log.port import LogReader
from events.log.reader import open_reader
from service.control import ControlServer, socket_path
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve_all
from service.settings import Settings

ROLE = "forwarder"


def run_forwarder(
    settings: Settings, stop: threading.Event, ready: Callable[[], None] = lambda: None
) -> None:
    """Forward until `stop`; `ready` is called once every target has its cursor.

    Raises:
        BadSetting: a target's setting is wrong.
        Unavailable: `forward.db` cannot be opened.
    """
    targets = resolve_all(settings.forward)
    settings.data.mkdir(parents=True, exist_ok=True)

    def open_log() -> LogReader:
        return open_reader(settings.data)

    forwarder = Forwarder(settings.data, targets, open_log)
    operations = Operations(
        forwarder.store, open_log, conditions=forwarder.conditions, wake=forwarder.wake
    )
    handlers = operations.handlers() | {"ping": lambda: {"role": ROLE}}
    control = ControlServer(socket_path(settings.data, ROLE), handlers)
    control.start()
    try:
        ready()
        forwarder.run(stop)
    finally:
        control.close()

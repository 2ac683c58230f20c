"""A group of the views in a process and a file of its own: `apart-NAME` feeds what NAME is."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from events.log.port import LogReader
from events.log.reader import open_reader
from projections.engine.apart.feeder import ApartFeeder
from service.configuration.settings import Settings
from service.control.feeding import Feeding
from service.mappings.applying import Applying
from service.roles import Place
from service.roles.folding import folds_of

_JOIN_S: Final = 0.1


class ApartRole:
    """Runs the feeder of one group in a thread."""

    locks = ()  # its instance's is taken for every role

    def __init__(self, settings: Settings, place: Place) -> None:
        self._fail = place.fail
        self._stop = threading.Event()
        data = settings.data

        def open_log() -> LogReader:
            return open_reader(data)

        name = place.instance.partition("-")[2]
        self._feeder = ApartFeeder(
            data, name, open_log, folds_of(settings, Applying(data, settings.mappings))
        )
        self._thread = threading.Thread(target=self._run, name="apart", daemon=True)

    def _run(self) -> None:
        try:
            self._feeder.run(self._stop)
        except Exception as exc:
            self._fail(exc)

    def start(self) -> dict[str, str]:
        """It is at work from the first; there may be nothing yet to work on."""
        self._thread.start()
        return {}

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        return Feeding(self._feeder).handlers()

    def drain(self, deadline_s: float) -> None:
        """End after the page that is being applied; the rest is in the spool, or in the log."""
        ends_s = time.monotonic() + deadline_s
        self._stop.set()
        self._thread.join(max(ends_s - time.monotonic(), _JOIN_S))

    def close(self) -> None:
        self._stop.set()
        self._feeder.close()


def build(settings: Settings, place: Place) -> ApartRole:
    """See `service.roles.build`."""
    return ApartRole(settings, place)

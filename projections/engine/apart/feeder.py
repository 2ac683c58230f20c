"""The process of a group that runs apart: it feeds the group's file beside each generation."""

import logging
import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import closing
from pathlib import Path
from typing import Final

from events import metrics
from events.errors import Damaged, Unavailable
from events.log.lag import behind
from events.log.port import LogReader
from projections.engine.apart.view import ApartView
from projections.engine.pausing import Pausing
from projections.engine.rebuilding import plan
from projections.engine.versions import MakeFolds, standing
from projections.engine.view import View
from projections.storage import apart, deadletters, generation

_ABSENT_S: Final = 0.2

_log = logging.getLogger(__name__)


class ApartFeeder(Pausing):
    """Feeds one group; the other arguments are those of `Feeder`.

    The generations are the projector's: it makes and removes them, with the files beside them.
    """

    def __init__(
        self,
        data: Path,
        name: str,
        open_log: Callable[[], LogReader],
        make_folds: MakeFolds,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(data, open_log, make_folds, clock=clock)
        self.name = name

    def _turn(self) -> float:
        """Wait without a word while the projector makes the file."""
        try:
            active = self.generations.active()
        except Damaged:
            active = None  # the projector says so
        if active is None or not self._file(active).exists():
            self.close()
            return _ABSENT_S
        return super()._turn()

    def _file(self, number: int) -> Path:
        return apart.path_of(self.generations.path(number), self.name)

    def _open_views(self, reader: LogReader) -> None:
        self._look(reader)

    def _look(self, reader: LogReader) -> None:
        """Open what the projector has made, close what it has removed, follow its switch.

        Raises:
            Unavailable: the active generation has no file of this group.
        """
        active = self.generations.active()
        there = {n for n in self.generations.numbers() if self._file(n).exists()}
        for number in self._views.keys() - there:
            self._views.pop(number).close()
        if active not in there:
            raise Unavailable(f"{self.name} has no file of its own yet")
        for number in sorted(there - self._views.keys()):
            try:
                self._views[number] = self._opened(number, reader)
            except (Damaged, sqlite3.Error) as exc:
                if number == active:
                    raise
                extra = {"action": "project", "generation": number, "error": str(exc)}
                _log.debug("a generation is not fed", extra=extra)
        if active != self._active:
            self._active = active
            self._settled = {self.name: deadletters.last_id(self._views[active].connection)}

    def _opened(self, number: int, reader: LogReader) -> ApartView:
        views = self.generations.path(number)
        with closing(generation.connect_reader(views)) as connection:
            held = standing(connection, self._make_folds)
        fed = self.name in held.fed
        folds = self._make_folds({self.name}, held.configured) if fed else ()
        view = ApartView(self._file(number), views, folds, self._clock)
        try:
            view.check(reader)
            view.claim()
        except BaseException:
            view.close()
            raise
        return view

    def step(self) -> bool:
        """See `Feeder.step`."""
        with self._lock:
            if self._reader is not None:
                self._look(self._reader)
            return super().step()

    def _feed(self, view: View, reader: LogReader) -> bool:
        """A group that is told by changes only catches up."""
        live = view.generation.number == self._active
        moved = bool(view.places(0)) and super()._feed(view, reader)
        if live:
            self.lag.head = reader.head().position
            self.lag.applied(view.position(0))
        return moved

    def _publish(self) -> None:
        """The gauges of this group."""
        view, reader = self.live(), self.reader()
        at, head = view.position(0), reader.head().position
        seconds = behind(reader, {0: at}).seconds(self._clock()) if head > at else 0.0
        metrics.PROJECTION_LAG_EVENTS.labels(self.name).set(max(head - at, 0))
        metrics.PROJECTION_LAG_SECONDS.labels(self.name).set(seconds)
        parked = deadletters.counts(view.connection).get(self.name, 0)
        metrics.DEAD_LETTERS.labels(self.name).set(parked)

    def _remove_over(self) -> None:
        """The projector removes generations."""
        for view in self._views.values():
            view.keep_small()

    def rebuilding(self) -> Collection[str]:
        """See `Feeder.rebuilding`: the projector's plan says so."""
        left = plan.load(self.data)
        if left is None or left.state != "running" or left.view is not None:
            return []
        return [self.name] if left.names is None or self.name in left.names else []

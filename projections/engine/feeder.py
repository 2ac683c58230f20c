"""Following the log: the active generation is fed, and behind it the former ones.

`run` is the projector's main loop. It takes the lock for one page at a time, so that whatever
else writes views (a switch, a requeued dead letter) comes between two pages.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from events import metrics
from events.errors import Damaged, Unavailable, ViewsDamaged
from events.log.port import LogReader, Page
from projections.engine.apart.placing import followers, make_first
from projections.engine.lag import SECOND_NS, Lag
from projections.engine.pages import Pager, bounded
from projections.engine.parking import ParkAll, ParkUpToRate, TooManyParked
from projections.engine.states import note
from projections.engine.turns import Turns
from projections.engine.versions import MakeFolds, Standing, names_of, standing
from projections.engine.view import View
from projections.engine.view_file import transaction
from projections.storage import apart, deadletters, generation
from projections.storage.generation import Generations

PAGE_EVENTS: Final = 16_384
IDLE_S: Final = 0.025
APART_S: Final = 0.2
"""Between two pages that each end at the head: larger ones cost less an event."""
YIELD_S: Final = 0.002
RETRY_S: Final = 1.0
_HOUSEKEEPING_S: Final = 1.0

_log = logging.getLogger(__name__)


class Feeder:
    """Feeds the views of one data folder.

    Args:
        open_log: opens a reader; called once a thread, again after a failure.
        make_folds: the folds of a set of projections (None: all).
        rollback_s: how long the former generation is kept and fed after a switch.
        apart: groups that run in processes of their own (`projections.engine.apart`); None: those
            that the active generation has files for.
    """

    def __init__(
        self,
        data: Path,
        open_log: Callable[[], LogReader],
        make_folds: MakeFolds,
        *,
        rollback_s: float = 3600.0,
        clock: Callable[[], int] = time.time_ns,
        apart: Collection[str] | None = None,
    ) -> None:
        self.data = data
        self.apart = None if apart is None else frozenset(apart)
        self.generations = Generations(data, clock)
        self.lag = Lag(clock)
        self.failure: str | None = None
        self.paused: str | None = None
        self._open_log = open_log
        self._make_folds = make_folds
        self._rollback_s = rollback_s
        self._clock = clock
        self._lock = threading.RLock()  # held while a page is applied and while views switch
        self._wanted = 0
        self._awaited = 0
        self._moved = threading.Condition()
        self._reader: LogReader | None = None
        self._views: dict[int, View] = {}
        self._active: int | None = None
        self._settled: dict[str, int] = {}  # by projection: letters that count no more
        self._standing: Standing | None = None
        self._turns = Turns()
        self._tidied_s = 0.0

    # Opening and closing

    def open(self) -> None:
        """Open the log and the views, and check that they belong together.

        Raises:
            Unavailable: there is no log yet.
            Damaged: log or views are not what they were.
        """
        with self._lock:
            if self._reader is not None:
                return
            reader = self._open_log()
            try:
                self._open_views(reader)
            except BaseException:
                self._close_views()
                reader.close()
                raise
            self._reader = reader

    def close(self) -> None:
        """Close everything; may be called twice."""
        with self._lock:
            self._leave()

    def _leave(self) -> None:
        self._close_views()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open_views(self, reader: LogReader) -> None:
        active = self.generations.active()
        if active is None:
            active = make_first(
                self.generations, reader, self._make_folds, self.apart or (), self._clock
            )
        for number in self.generations.numbers():
            try:
                self._open_view(number, active, reader)
            except sqlite3.DatabaseError as exc:
                if isinstance(exc, sqlite3.OperationalError) and "no such" not in str(exc):
                    raise  # the disk or a lock, not the file
                if number == active:
                    raise ViewsDamaged(
                        f"{self.generations.path(number)} is damaged: {exc}; "
                        "`spanledger projections rebuild --all` makes the views anew"
                    ) from exc
        self._active = active
        self.lag.head = reader.head().position
        self.lag.applied(self._views[active].position(0))

    def _open_view(self, number: int, active: int, reader: LogReader) -> None:
        path = self.generations.path(number)
        with closing(generation.connect(path)) as connection:
            about = generation.describe(connection)
            with transaction(connection):
                generation.complete(connection)
        held = self._standing_of(path)
        if number != active and about.activated_ns is None:
            return  # of a rebuild that did not come to its end; it starts over
        if number != active and names_of(self._make_folds(None)) - held.fed:
            return  # another release's, kept as it is
        if number == active:
            self._standing = held
        inside = held.fed - apart.files(path).keys()
        folds = self._make_folds(inside, held.configured) if inside else ()
        view = View(path, generation.connect(path), folds, self._clock)
        self._views[number] = self._with_followers(view)
        if number == active and about.retired_ns is not None:
            # killed between retiring it and the switch
            generation.stamp(view.connection, "retired_ns", None)
        elif number != active and about.retired_ns is None:
            generation.stamp(view.connection, "retired_ns", self._clock())
        try:
            view.check(reader)
        except Damaged:
            if number == active:
                raise
            view.close()
            del self._views[number]
            return
        view.claim()

    def _standing_of(self, path: Path) -> Standing:
        """What of a generation can be fed, here or apart."""
        with closing(generation.connect_reader(path)) as connection:
            return standing(connection, self._make_folds)

    def _with_followers(self, view: View) -> View:
        """A generation that knows the files beside it."""
        view.followers = followers(view.path, self._make_folds)
        view.holds_spool = self.holds_spool
        return view

    def holds_spool(self) -> bool:
        """Must nothing of the spool be forgotten now?"""
        return False

    def _close_views(self) -> None:
        for view in self._views.values():
            view.close()
        self._views.clear()
        self._active = None

    # Following the log

    def run(self, stop: threading.Event) -> None:
        """Follow the log until `stop` is set. Damage stops the feeding, not the answering."""
        try:
            while not stop.is_set():
                stop.wait(self._turn())
        finally:
            self.close()

    def _turn(self) -> float:
        """Do what there is to do; returns how long to wait, in seconds."""
        try:
            if self._reader is None:
                self.open()
                self.failure = None
                self.opened()
            started_s = time.monotonic()
            return self._pause(started_s) if self.step() else IDLE_S
        except Damaged as exc:
            self._fail(exc)
            return 10 * RETRY_S
        except (Unavailable, sqlite3.Error, OSError) as exc:
            self._fail(exc)
            return RETRY_S
        except Exception as exc:
            self._fail(exc)
            return 10 * RETRY_S

    def _pause(self, started_s: float) -> float:
        """How long to wait after a page: none if there is more, or if someone waits for it."""
        if self._wanted:
            return YIELD_S
        if self.lag.events or self._awaited:
            return 0.0
        return max(started_s + APART_S - time.monotonic(), 0.0)

    def opened(self) -> None:
        """Called by `run` whenever log and views were opened."""

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Between two pages: the loop makes room even when it is far behind."""
        self._wanted += 1
        try:
            with self._lock:
                yield
        finally:
            self._wanted -= 1

    def _fail(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self.failure:
            _log.error("projector failed", extra={"action": "project", "error": text})
        self.failure = text
        with self._lock:
            self._leave()

    def step(self) -> bool:
        """Apply a page to the active generation, or else to a former one; False: nothing to do."""
        with self._lock:
            reader = self.reader()
            self._tidy()
            if self.paused is not None:
                self.lag.head = reader.head().position
                return False
            assert self._active is not None
            live = self._views[self._active]
            parking = self._parking()
            if self._turns.take(lambda: self._feed(live, reader), lambda: live.catch_up(parking)):
                return True
            return any(self._feed_former(number, reader) for number in sorted(self._views))

    def _feed_former(self, number: int, reader: LogReader) -> bool:
        """Feed one that readers don't see; if that fails it is given up, and nothing else."""
        if number == self._active:
            return False
        try:
            view = self._views[number]
            return self._feed(view, reader) | view.catch_up(ParkAll())
        except Exception as exc:
            extra = {"action": "project", "generation": number, "error": str(exc)}
            _log.error("a former generation is not fed any more", extra=extra)
            self._views.pop(number).close()
            return False

    def _feed(self, view: View, reader: LogReader) -> bool:
        if not view.names:
            return False
        moved = False
        for partition in reader.partitions:
            places = view.places(partition)
            for at, until in zip(places, [*places[1:], None], strict=False):
                moved |= self._feed_from(view, reader, partition, at, until)
        return moved

    def _feed_from(
        self, view: View, reader: LogReader, partition: int, at: int, until: int | None
    ) -> bool:
        """Apply a page to the folds that stand at `at`, at most up to where others stand."""
        page = Pager(reader, partition, PAGE_EVENTS).read(at, until)
        live = view.generation.number == self._active
        if live and partition == 0 and at == view.position(0):
            head = reader.head(0)
            self.lag.reading(page, head.position)
            if head.position < at:
                view.check(reader)  # raises, and says what happened
        if page.through == at:
            view.failures.tell(view.connection)
            return False
        self._apply(view, page, live=live)
        if live:
            metrics.PROJECTED.inc(page.count)
            view.failures.add(view.tally.publish())
            view.failures.tell(view.connection)
            self.lag.applied(view.position(0))
            with self._moved:
                self._moved.notify_all()
        return True

    def _apply(self, view: View, page: Page, *, live: bool) -> None:
        try:
            view.apply(page, self._parking() if live else ParkAll())
        except TooManyParked as exc:
            view.apply(bounded(page, page.after, exc.position), ParkAll())
            view.paused[exc.projection] = str(exc)
            _log.error("projection paused", extra={"action": "project", "error": str(exc)})
        view.keep_small()

    def _parking(self) -> ParkUpToRate:
        return ParkUpToRate(self._settled)

    def wait(self, position: int, names: Collection[str] = (), timeout_s: float = 5.0) -> int:
        """Wait until projections (none named: all) have seen `position`; returns what they have.

        Raises:
            Unavailable: they have not within `timeout_s` seconds.
        """
        deadline_s = time.monotonic() + timeout_s
        self._awaited += 1
        try:
            while (reached := self._seen(names)) < position:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise Unavailable(f"the views have seen position {reached}, not {position} yet")
                with self._moved:
                    self._moved.wait(min(left_s, 0.05))
            return reached
        finally:
            self._awaited -= 1

    def _seen(self, names: Collection[str]) -> int:
        view = self._views.get(self._active or 0)
        held = [] if view is None else view.every_checkpoint()
        chosen = [c.position for c in held if not names or c.projection in names]
        return min(chosen, default=0)

    def live(self) -> View:
        """The views that readers see; use them within `exclusively`."""
        self.reader()
        assert self._active is not None
        return self._views[self._active]

    def _tidy(self) -> None:
        """Once a second: gauges, and the former generations whose time is over."""
        now_s = time.monotonic()
        if now_s - self._tidied_s < _HOUSEKEEPING_S:
            return
        self._tidied_s = now_s
        self.note_states()
        self._publish()
        self._remove_over()

    def _publish(self) -> None:
        active = self.live()
        positions = {c.projection: c.position for c in active.checkpoints if c.partition == 0}
        self.lag.publish(self.reader(), positions, deadletters.counts(active.connection))

    def _remove_over(self) -> None:
        """Remove former generations whose time is over."""
        for number in self.generations.numbers():
            path = self.generations.path(number)
            over_ns = self._clock() - int(self._rollback_s * SECOND_NS)
            if number != self._active and generation.is_over(path, over_ns):
                held = self._views.pop(number, None)
                if held is not None:
                    held.close()
                self.generations.remove(number)

    def rebuilding(self) -> Collection[str]:
        """The projections that are being rebuilt, to be switched to."""
        return ()

    def note_states(self) -> None:
        """Put the projections' states on record; use it within `exclusively`."""
        note(self.live(), self.paused, self.rebuilding())

    def reader(self) -> LogReader:
        """The log; use it within `exclusively`."""
        if self._reader is None:
            self.open()
        assert self._reader is not None
        return self._reader

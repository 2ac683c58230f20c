"""The projector: the only process that writes views, and all that can be asked of it.

A rebuild runs in a thread of its own and takes the feeding lock only for the last pages and the
switch. Every public method may be called from any thread; they work without `run` too, so that
the command line can do what is asked when no service is there.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from events.errors import BadInput, Unavailable
from events.log.port import LogReader
from projections.engine.feeder import PAGE_EVENTS
from projections.engine.rebuilding import plan
from projections.engine.rebuilding.plan import Plan
from projections.engine.rebuilding.rebuild import Cancelled, Rebuild
from projections.engine.switching import Switching
from projections.engine.versions import MakeFolds, names_of, outdated, with_dependants
from projections.engine.view import View
from projections.storage import generation

PROGRESS_S: Final = 0.25

_log = logging.getLogger(__name__)


class Projector(Switching):
    """See the module; the arguments are those of `Feeder`."""

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
        super().__init__(
            data, open_log, make_folds, rollback_s=rollback_s, clock=clock, apart=apart
        )
        self._rebuild: Rebuild | None = None
        self._thread: threading.Thread | None = None
        self._rebuild_error: Exception | None = None
        self._rebuilt: dict[str, Any] = {}
        self._given_up: frozenset[str] = frozenset()  # a rebuild that failed is not tried again

    def close(self) -> None:
        """Stop a rebuild where it is and close everything; may be called twice."""
        if self._thread is not None and self._rebuild is not None:
            self._rebuild.left_as = "stopped"
            self._rebuild.cancelled.set()
            self._thread.join()
        super().close()

    def opened(self) -> None:
        """Go on with a rebuild that was killed, and rebuild what an older release made."""
        with self.exclusively():
            if self._is_rebuilding():
                return
            left = plan.load(self.data)
            if left is not None and left.number == self._active:
                plan.clear(self.data)
            elif left is not None and left.state != "cancelled":
                self._start(left if left.state == "stopped" else self._renewed(left))
                return
            self._rebuild_outdated()

    def _tidy(self) -> None:
        super()._tidy()
        if self.live().lost() and not self._is_rebuilding():
            self._rebuild_outdated()

    def resume(self, names: Collection[str] = ()) -> None:
        """See `Pausing.resume`; what a rebuild failed at is tried again as well."""
        super().resume(names)
        self._given_up = frozenset()

    def _rebuild_outdated(self) -> None:
        """Make anew what is not as this release and its configuration have it, or fell behind."""
        live = self.live()
        assert self._standing is not None
        names = outdated(self._standing, self._make_folds) | set(live.lost())
        moved = self.misplaced()
        if (names or moved) and names | moved != self._given_up:
            self._given_up = names | moved
            extra = {"action": "rebuild", "names": sorted(names), "moved": sorted(moved)}
            _log.info("rebuilding", extra=extra)
            self._start(self._planned(tuple(sorted(names)), None, None))

    def holds_spool(self) -> bool:
        """See `Feeder.holds_spool`: while a rebuild copies files that follow each other."""
        rebuild = self._rebuild
        return rebuild is not None and rebuild.copying

    # Rebuilds

    def renew(self, change: Callable[[], None]) -> Iterator[dict[str, Any]] | None:
        """Change what projections are configured with, and rebuild those that it concerns.

        Args:
            change: makes the folds' configuration another one; not called while a rebuild runs.

        Returns:
            As `rebuild`; None if there is nothing to rebuild.

        Raises:
            Unavailable: another rebuild runs.
        """
        with self.exclusively():
            if self._is_rebuilding():
                raise Unavailable("a rebuild runs; cancel it or wait for its end")
            self.live()
            change()
            assert self._standing is not None
            names = outdated(self._standing, self._make_folds)
            if not names:
                return None
            self._start(self._planned(tuple(sorted(names)), None, None))
        return self.follow()

    def rebuild(
        self,
        names: Collection[str] | None = None,
        as_of: int | Mapping[int, int] | None = None,
        view: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rebuild projections (None: all) from the log and switch to them; yields progress.

        With `as_of` (a position) and `view`, the views of the past are built under that name and
        nothing is switched. The same rebuild after `cancel` goes on where it stopped. Leaving
        the iterator early does not stop the rebuild.

        Raises:
            BadInput: an unknown name, a bad view name, a position beyond the head.
            Unavailable: another rebuild runs.
            RebuildStopped: an event cannot be applied that is no dead letter yet.
        """
        chosen = None if names is None else tuple(sorted(set(names)))
        with self.exclusively():
            if self._is_rebuilding():
                raise Unavailable("a rebuild runs already; cancel it or wait for its end")
            self._start(self._planned(chosen, self._bounds(as_of, view), view))
        return self.follow()

    def follow(self) -> Iterator[dict[str, Any]]:
        """Progress of the rebuild that runs, until its end; returns what came of it."""
        thread, rebuild = self._thread, self._rebuild
        if thread is None or rebuild is None:
            raise Unavailable("no rebuild runs")
        while thread.is_alive():
            yield rebuild.progress.as_dict()
            thread.join(PROGRESS_S)
        if self._rebuild_error is not None:
            raise self._rebuild_error
        return self._rebuilt  # type: ignore[return-value]  # the generator's answer

    def cancel(self) -> dict[str, Any]:
        """Stop the rebuild that runs; it can go on later.

        Raises:
            Unavailable: none runs.
        """
        rebuild, thread = self._rebuild, self._thread
        if not self._is_rebuilding() or rebuild is None or thread is None:
            raise Unavailable("no rebuild runs")
        rebuild.cancelled.set()
        thread.join()
        return {"cancelled": True, **rebuild.progress.as_dict()}

    def rebuild_status(self) -> dict[str, Any] | None:
        """The rebuild that runs or ran last; None before the first."""
        rebuild = self._rebuild
        if rebuild is None:
            return None
        names = rebuild.plan.names
        if names is None:
            names = tuple(sorted(names_of(self._make_folds(None))))
        error = self._rebuild_error
        return {
            "running": self._is_rebuilding(),
            "names": [] if rebuild.plan.view is not None else list(names),
            "view": rebuild.plan.view,
            "failure": None if error is None else str(error),
            **rebuild.progress.as_dict(),
        }

    def rebuilding(self) -> Collection[str]:
        """See `Feeder.rebuilding`."""
        answer = self.rebuild_status()
        names: list[str] = answer["names"] if answer is not None and answer["running"] else []
        return names

    def _is_rebuilding(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _bounds(
        self, as_of: int | Mapping[int, int] | None, view: str | None
    ) -> dict[int, int] | None:
        if (as_of is None) != (view is None):
            raise BadInput("a view of the past needs both a position and a name")
        if as_of is None or view is None:
            return None
        if self.generations.past(view).exists():
            raise BadInput(f"a view named {view} exists; remove it first")
        bounds = {0: as_of} if isinstance(as_of, int) else dict(as_of)
        with closing(self._open_log()) as reader:
            for partition, position in bounds.items():
                head = reader.head(partition).position
                if not 0 <= position <= head:
                    raise BadInput(f"position {position} is not in the log, which ends at {head}")
        return bounds

    def _planned(
        self, names: tuple[str, ...] | None, through: dict[int, int] | None, view: str | None
    ) -> Plan:
        """A new plan, or the one on record if that was cancelled and asks for the same."""
        folds = self._make_folds(None)
        if names is not None:
            self._make_folds(names)  # says which names there are if one is unknown
        if names is not None and view is None:
            names = tuple(sorted(with_dependants(folds, names)))
        if names is not None and set(names) >= names_of(folds):
            names = None
        wanted = Plan(0, names, through, view)
        left = plan.load(self.data)
        if left is None:
            return Plan(self.generations.reserve(), names, through, view)
        if left.state != "running" and left.same_work(wanted):
            return left
        return self._renewed(left, wanted)

    def _renewed(self, left: Plan, wanted: Plan | None = None) -> Plan:
        """A plan with a new number in the place of one whose files are of no use any more."""
        for kind in ("part", "side"):
            generation.remove_file(self.data / f"views-{left.number}.{kind}")
        if left.number != self.generations.active():
            self.generations.remove(left.number)
        wanted = wanted or left
        return Plan(self.generations.reserve(), wanted.names, wanted.through, wanted.view)

    def _start(self, plan_: Plan) -> None:
        self._rebuild_error, self._rebuilt = None, {}
        reader = self._open_log()
        self._rebuild = Rebuild(
            plan_, self.generations, reader, self._make_folds, self._clock, self.beside()
        )
        self._thread = threading.Thread(
            target=self._run_rebuild, args=(self._rebuild, reader), name="rebuild", daemon=True
        )
        self._thread.start()

    def _run_rebuild(self, rebuild: Rebuild, reader: LogReader) -> None:
        started_s = time.monotonic()
        try:
            built = rebuild.build()
            if built is not None:
                self._take_up(built, rebuild, reader)
            plan.clear(self.data)
            self._given_up = frozenset()
            self._rebuilt = {
                "generation": None if built is None else built.generation.number,
                "view": rebuild.plan.view,
                "events": rebuild.progress.completed,
                "seconds": round(time.monotonic() - started_s, 3),
                "dead_letters": rebuild.dead_letters,
            }
            _log.info("rebuilt", extra={"action": "rebuild", **self._rebuilt})
        except Exception as exc:
            self._rebuild_error = exc
            if not isinstance(exc, Cancelled):
                _log.error("rebuild failed", extra={"action": "rebuild", "error": str(exc)})
        finally:
            reader.close()

    def _take_up(self, built: View, rebuild: Rebuild, reader: LogReader) -> None:
        """Bring new views to the head, at last between two pages of the old ones, and switch."""
        rebuild.progress.stage = "catching up"
        try:
            while self.catch_up(built, reader, pages=1) >= PAGE_EVENTS:
                if rebuild.cancelled.is_set():
                    raise Cancelled("the rebuild was cancelled while it caught up")
            with self.exclusively():
                self.catch_up(built, reader)
                self.switch(built)
        except BaseException:
            if built.generation.number != self._active:
                rebuild.drop(built)
            raise

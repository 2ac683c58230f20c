"""Filling views again from the log, beside the ones that are read.

A replay folds the log from its start into a file of its own, without syncs and with the
secondary indexes last. If every projection was replayed, that file becomes the new generation.
If only some were, the new generation is a copy of the active one, taken in one read snapshot at
some position C of the shared stage; the replay, through a stage of its own, is brought to exactly
C, and its tables take the place of the copied ones. That needs both files to give the same numbers
to tasks and runs, which is checked: where they differ (a dead letter was requeued, say), every
projection is replayed instead. Copied projections that are behind the stage stay so, and catch up
from the copied spool.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from events.atomic_file import sync_folder
from events.errors import SpanledgerError
from events.log.port import LogReader
from events.log.sqlite import load_queries
from projections.engine.apart.placing import copy_beside, followers, place
from projections.engine.pages import Pager, unpacked_ahead
from projections.engine.parking import ParkKnown, RebuildStopped
from projections.engine.port import Fold
from projections.engine.rebuilding import plan, tables
from projections.engine.rebuilding.plan import Plan, State
from projections.engine.side.process import Side, SideFailed, absorb, has_two_cores, reached
from projections.engine.versions import (
    SHARED,
    MakeFolds,
    names_of,
    outdated,
    projections_of,
    standing,
)
from projections.engine.view import View
from projections.engine.view_file import transaction
from projections.storage import checkpoint, deadletters, generation
from projections.storage.deadletters import DeadLetter
from projections.storage.generation import Generations

PAGE_EVENTS: Final = 50_000
DIVIDED_EVENTS: Final = 100_000
"""From so many events on a rebuild of everything starts a second process."""

_log = logging.getLogger(__name__)
_numbering = load_queries("projections.storage", "numbering.sql")


class Cancelled(SpanledgerError):
    """The rebuild was cancelled; it can go on where it stopped."""


class Progress:
    """How far a rebuild is; written by its thread, read by others."""

    def __init__(self) -> None:
        self.stage = "replaying"
        self.completed = 0
        self.total = 0
        self._began_s = time.monotonic()
        self._began_at = 0

    def start(self, completed: int) -> None:
        """Rate and time remaining count from here."""
        self.completed = self._began_at = completed
        self._began_s = time.monotonic()

    def as_dict(self) -> dict[str, Any]:
        """Events done and to do, events a second, seconds remaining (None: not known)."""
        done = self.completed - self._began_at
        rate = done / max(time.monotonic() - self._began_s, 1e-9)
        left = max(self.total - self.completed, 0)
        return {
            "description": self.stage,
            "completed": self.completed,
            "total": self.total,
            "rate": round(rate, 1),
            "eta_s": round(left / rate, 1) if rate > 0 else None,
        }


class Rebuild:
    """One rebuild, from its plan to a views file that is caught up to the replay's end.

    Groups `beside` get files of their own. While it is `copying`, nobody may forget what copied
    groups have not applied yet.
    """

    def __init__(
        self,
        plan_: Plan,
        generations: Generations,
        reader: LogReader,
        make_folds: MakeFolds,
        clock: Callable[[], int] = time.time_ns,
        beside: Collection[str] = (),
    ) -> None:
        self.plan = plan_
        self.copying = False
        self.progress = Progress()
        self.cancelled = threading.Event()
        self.left_as: State = "cancelled"
        self.dead_letters = 0
        self._generations = generations
        self._reader = reader
        self._make_folds = make_folds
        self._clock = clock
        self._beside = beside
        self._part = generations.data / f"views-{plan_.number}.part"
        self._side = generations.data / f"views-{plan_.number}.side"

    def build(self) -> View | None:
        """Do it; returns the new generation, not caught up yet, or None for a view of the past.

        Raises:
            Cancelled: `cancelled` was set; the plan on record says where it goes on.
            RebuildStopped: an event cannot be applied that is no dead letter yet.
        """
        if self.plan.state == "running":
            self.remove_parts()  # of a rebuild that was killed, if there is one
        plan.store(self._generations.data, self._with_state("running"))
        names = self.plan.names
        if names is not None and self.plan.view is None:
            built = self._build_some(names)
            if built is not None:
                return built
            self.remove_parts()
            self.plan = Plan(self.plan.number)
        return self._build_all()

    def _with_state(self, state: State) -> Plan:
        return Plan(self.plan.number, self.plan.names, self.plan.through, self.plan.view, state)

    def _build_all(self) -> View | None:
        try:
            self._fill(divided=self._worth_dividing())
        except SideFailed as exc:
            _log.warning(
                "rebuilding in one process", extra={"action": "rebuild", "error": str(exc)}
            )
            self.remove_parts()
            self._fill(divided=False)
        generation.sync_file(self._part)
        if self.plan.view is not None:
            self._part.rename(self._generations.past(self.plan.view))
            sync_folder(self._generations.data)
            return None
        path = self._generations.path(self.plan.number)
        self._part.rename(path)
        return self._open_built(path)

    def _fill(self, *, divided: bool) -> None:
        """Replay into the file in the making, then make its indexes.

        With `divided`, a second process writes what it can into a file of its own, and in the end
        both become one. Files that are there already go on as they began.
        """
        self.progress.stage = "replaying"
        folds = self._make_folds(self.plan.names if self.plan.view is not None else None)
        side = self._begin_side(folds) if divided else None
        try:
            self._replay(folds, self.known(), self.plan.through, side)
            self.progress.stage = "indexing"
            if side is not None:
                side.finish()
            with closing(generation.connect_building(self._part)) as connection:
                self._index(connection, folds)
                self.dead_letters = sum(deadletters.counts(connection).values())
            if side is not None:
                side.join()
                self.progress.stage = "copying"
                absorb(self._side, self._part)
                generation.remove_file(self._part)
                self._side.rename(self._part)
        finally:
            if side is not None:
                side.close()

    def _worth_dividing(self) -> bool:
        if self._part.exists():
            return self._side.exists()
        events = sum(self._bounds(self.plan.through).values())
        return self.plan.names is None and events >= DIVIDED_EVENTS and has_two_cores()

    def _begin_side(self, folds: Sequence[Fold]) -> Side | None:
        if self._part.exists():
            held = _positions(self._part, ())
            if reached(self._side) != {part: at for part, at in held.items() if at}:
                self.remove_parts()  # one of the two was killed
        return Side.of(self._side, folds)

    def _index(self, connection: sqlite3.Connection, folds: Sequence[Fold]) -> None:
        with transaction(connection):
            for fold in folds:
                fold.index(connection)
            if self.plan.view is not None:
                connection.execute("UPDATE generation SET as_of = 1")

    def remove_parts(self) -> None:
        """Delete the files in the making."""
        generation.remove_file(self._part)
        generation.remove_file(self._side)

    def _bounds(self, through: dict[int, int] | None) -> dict[int, int]:
        """How far each partition is replayed: up to `through`, or the head as it is now."""
        return through or {p: self._reader.head(p).position for p in self._reader.partitions}

    def _replay(
        self,
        folds: Sequence[Fold],
        known: Collection[DeadLetter],
        through: dict[int, int] | None,
        side: Side | None = None,
    ) -> None:
        """Fold the log into the file in the making, up to `through` or the head as it is now."""
        bounds = self._bounds(through)
        fresh = not self._part.exists()
        connection = generation.connect_building(self._part)
        try:
            if fresh:
                view = View.create(
                    self._part, connection, folds, self._reader,
                    number=self.plan.number, indexed=False, clock=self._clock,
                )  # fmt: skip
            else:
                view = View(self._part, connection, folds, self._clock)
            self.progress.total = sum(bounds.values())
            self.progress.start(sum(view.position(p) for p in bounds))
            parking = ParkKnown(known)
            for partition, bound in bounds.items():
                self._replay_partition(view, partition, bound, parking, side)
        finally:
            connection.close()

    def _replay_partition(
        self, view: View, partition: int, bound: int, parking: ParkKnown, side: Side | None
    ) -> None:
        pager = Pager(self._reader, partition, PAGE_EVENTS)
        for page in unpacked_ahead(pager, view.position(partition), bound):
            if self.cancelled.is_set():
                self._leave_whole(view, side)
                raise Cancelled(f"the rebuild was cancelled at position {page.after}")
            try:
                view.apply(page, parking)
            except RebuildStopped:
                self._leave_whole(view, side)
                raise
            if side is not None:
                side.commit(partition, page.through)
            self.progress.completed += page.count

    def drop(self, built: View) -> None:
        """Give up a new generation that was not switched to; the plan starts over."""
        self._generations.remove(self.plan.number)
        self._leave_whole(built)

    def _leave_whole(self, view: View, side: Side | None = None) -> None:
        """Make what is committed durable, so that the same rebuild can go on from there."""
        view.close()
        if side is not None and not side.close():
            self.remove_parts()  # the second process died: what it has may be torn or missing
        for path in (self._part, self._side):
            if path.exists():
                generation.sync_file(path)
        plan.store(self._generations.data, self._with_state(self.left_as))

    def _build_some(self, names: Collection[str]) -> View | None:
        """The active generation with some projections replayed; None if that is not possible."""
        active = self._generations.active()
        if active is None or not self._others_are_current(active, names):
            return None
        folds = self._make_folds(names) if names else ()
        known = self.known()
        if folds:
            self._replay(folds, known, self._reached(active))
        self.progress.stage = "copying"
        path = self._generations.path(self.plan.number)
        self._copy(self._generations.path(active), path, names)
        if folds:
            self._replay(folds, known, _positions(path, names))
        with closing(generation.connect_building(path)) as target:
            if folds:
                target.execute("ATTACH ? AS replayed", (str(self._part),))
            if not _same_numbers(target, folds):
                target.close()
                self._generations.remove(self.plan.number)
                return None
            self._take_over(target, folds, names)
        generation.sync_file(path)
        built = self._open_built(path)
        generation.remove_file(self._part)
        return built

    def _copy(self, active: Path, path: Path, names: Collection[str]) -> None:
        """Copy a generation and the files beside it, which the spool lets follow their copy."""
        self._generations.remove(self.plan.number)
        self.copying = True
        try:
            copy_beside(active, path, names)
            with (
                closing(generation.connect_reader(active)) as source,
                closing(generation.connect_building(path)) as target,
            ):
                source.backup(target)
        finally:
            self.copying = False

    def _open_built(self, path: Path) -> View:
        """Give the groups their places, and open what this process feeds."""
        everything = self._make_folds(None)
        place(path, everything, self._beside, self._part)
        inside = names_of(everything) - set(self._beside)
        view = View(path, generation.connect(path), self._make_folds(inside), self._clock)
        view.followers = followers(path, self._make_folds)
        view.claim()  # its checkpoints came from two files
        with closing(generation.connect_reader(path)) as connection:
            self.dead_letters = sum(deadletters.counts(connection).values())
        return view

    def _take_over(
        self, target: sqlite3.Connection, folds: Sequence[Fold], names: Collection[str]
    ) -> None:
        """Put the replayed tables in the place of the copied ones, with their checkpoints."""
        taken = [p for p in projections_of(folds) if p.name in names]
        with transaction(target):
            for projection in taken:
                if projection.name in self._beside:
                    tables.drop(target, projection, "main")
                else:
                    tables.take_over(target, projection, "replayed")
            target.execute("DELETE FROM generation")
            target.execute(
                "INSERT INTO generation (number, created_ns, as_of) VALUES (?, ?, 0)",
                (self.plan.number, self._clock()),
            )

    def known(self) -> list[DeadLetter]:
        """The dead letters of the active generation; none if it cannot be read."""
        try:
            active = self._generations.active()
            if active is None:
                return []
            path = self._generations.path(active)
            with closing(generation.connect_reader(path)) as connection:
                return deadletters.listing(connection)
        except (SpanledgerError, sqlite3.DatabaseError):
            return []  # a rebuild is how damaged views are repaired

    def _reached(self, number: int) -> dict[int, int]:
        return _positions(self._generations.path(number), self.plan.names or ())

    def _others_are_current(self, active: int, names: Collection[str]) -> bool:
        """Is all but `names` in the active file as this release and its configuration have it?"""
        if SHARED in names:
            return False
        try:
            path = self._generations.path(active)
            with closing(generation.connect_reader(path)) as connection:
                held = standing(connection, self._make_folds)
        except sqlite3.DatabaseError:
            return False
        return outdated(held, self._make_folds) <= set(names)


def _positions(path: Path, exclude: Collection[str]) -> dict[int, int]:
    """Where in each partition the stage stands, or else the furthest that is not left out."""
    with closing(generation.connect_reader(path)) as connection:
        held = checkpoint.load(connection)
    chosen = [c for c in held if c.projection == SHARED and SHARED not in exclude]
    chosen = chosen or [c for c in held if c.projection not in exclude]
    partitions = sorted({c.partition for c in chosen})
    return {p: max(c.position for c in chosen if c.partition == p) for p in partitions}


def _same_numbers(target: sqlite3.Connection, folds: Sequence[Fold]) -> bool:
    """Do copy and replay give the same numbers to the same texts? Yes without a shared stage."""
    shared = {t for f in folds for p in f.projections if p.name == SHARED for t in p.tables}
    return all(
        target.execute(query).fetchone()[0] == 0
        and _count(target, "main", table) == _count(target, "replayed", table)
        for table, query in _numbering.items()
        if table in shared
    )


def _count(connection: sqlite3.Connection, schema: str, table: str) -> int:
    count: int = connection.execute(f"SELECT count(*) FROM {schema}.{table}").fetchone()[0]
    return count

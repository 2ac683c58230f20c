"""One views file being fed: pages in, rows and checkpoints out, in one transaction each.

Every fold of a page has a savepoint of its own. If one fails, the page is halved until the
event that it cannot apply stands alone; that one is parked, and the others are applied. Groups
that a fold tells of changes are handed them one behind the other; if one fails, the page is told
again and that group gets a savepoint of its own, and letters of its own (`delivery`). A group
that is paused, or was too slow, is behind: what it misses is kept in the spool.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Final

from events.crash import crash_at
from events.errors import Unavailable
from events.log.port import LogReader, Page
from projections.engine import spool
from projections.engine.apart.follower import Follower
from projections.engine.counting.tally import Tally
from projections.engine.delivery import Delivery, GroupFailed
from projections.engine.pages import follows, split
from projections.engine.parking import ParkAll, Parking, is_not_the_event
from projections.engine.port import Fold, Staged
from projections.engine.view_file import ViewFile
from projections.runs.changes import Changes
from projections.storage import checkpoint, deadletters
from projections.storage.checkpoint import Step
from projections.storage.deadletters import DeadLetter, Poison
from projections.storage.generation import bound_wal

SLOW_S: Final = 1.0
"""A group that takes longer for a page, and longer than all else together, is left behind."""

_log = logging.getLogger(__name__)


class View(ViewFile):
    """See the module. Used by one thread at a time."""

    def claim(self) -> None:
        """Take the file over from whoever fed it before."""
        super().claim()
        for partition in {c.partition for c in self.checkpoints}:
            self._trim(partition, {})

    # Pages

    def apply(self, page: Page, parking: Parking) -> None:
        """Apply one page to the folds that stand before it, and commit.

        Raises:
            LostRace: another process fed this file.
            LogDamaged: the page does not follow what was applied before.
            TooManyParked, RebuildStopped: the parking says stop; nothing was kept.
        """
        if not page.segments:
            return
        self.tally.clear()
        partition = page.partition
        folds = [
            f for f in self._reading() if self.at(f.projections[0].name, partition) == page.after
        ]
        for fold in folds[:1]:
            follows(page, self._places[fold.projections[0].name, partition].hash)
        broken: list[str] = []
        with self._transaction():
            names = [name for fold in folds for name in self._feed(fold, page, parking, broken)]
            crash_at("view.before_checkpoint")
            self._advance(names, Step.of(page))
            crash_at("view.before_commit")
        self._read_checkpoints()
        self._pause(broken, page.through)

    def _advance(self, names: Sequence[str], step: Step) -> None:
        checkpoint.advance(
            self.connection, names, step, epoch=self._epoch, now_ns=self.clock()
        )  # fmt: skip

    def _pause(self, broken: Sequence[str], position: int) -> None:
        for name in broken:
            reason = f"more than 1 % of the last 10,000 events up to {position} were parked"
            self.paused[name] = reason
            extra = {"action": "project", "projection": name, "error": reason}
            _log.error("projection paused", extra=extra)

    def _feed(self, fold: Fold, page: Page, parking: Parking, broken: list[str]) -> list[str]:
        """Apply a page to one fold; the names of the projections that have it now."""
        stage = fold.projections[0].name
        deliveries = self._deliveries.get(stage, [])
        live = [d for d in deliveries if self._is_live(d, stage, page.partition)]
        missing = [d.group.name for d in deliveries if d not in live]
        kept: list[Changes] | None = None
        if any(self._can_catch_up(name, stage, page.partition) for name in missing) or any(
            self._can_follow(follower, page.partition) for follower in self._told_by(stage)
        ):
            kept = []
        letters = deadletters.last_id(self.connection)
        started_s = time.perf_counter()
        for delivery in live:
            delivery.spent_s = 0.0
        self._apply_fold(fold, page, parking, live, kept)
        if parking.lets_lag:
            self._leave_behind(live, time.perf_counter() - started_s)
        if kept is not None:
            spool.append(self.connection, page, kept)
            self._trim(page.partition, {})
            self._bound_spool()
        if deadletters.last_id(self.connection) > letters:
            through = page.partition, page.through
            names = [d.group.name for d in live]
            broken += [n for n in names if parking.is_broken(self.connection, n, *through)]
        return [p.name for p in fold.projections if p.name not in missing]

    def _is_live(self, delivery: Delivery, stage: str, partition: int) -> bool:
        name = delivery.group.name
        if name in self.paused or name in self.slow:
            return False
        return (name, partition) not in self._places or self.at(name, partition) == self.at(
            stage, partition
        )

    def _leave_behind(self, live: Sequence[Delivery], whole_s: float) -> None:
        """Let a group that holds up all others go on from the spool, in turn with them."""
        for delivery in live:
            if delivery.spent_s > max(SLOW_S, whole_s / 2):
                self.slow.add(delivery.group.name)
                extra = {"action": "project", "projection": delivery.group.name}
                _log.warning("a projection is too slow and is left behind", extra=extra)

    def _apply_fold(
        self,
        fold: Fold,
        page: Page,
        parking: Parking,
        live: Sequence[Delivery],
        kept: list[Changes] | None,
        projection: str | None = None,
    ) -> None:
        parts = [page] if page.count else []
        while parts:
            part = parts.pop()
            try:
                told = self._try(fold, part, parking, live, wanted=kept is not None)
            except Exception as exc:
                if is_not_the_event(exc):
                    raise
                if part.count > 1:
                    parts += reversed(split(part, exc))
                    continue
                self._park(projection or _blamed(fold, exc), part, parking, exc)
            else:
                if kept is not None:
                    kept += told

    def _try(
        self, fold: Fold, page: Page, parking: Parking, live: Sequence[Delivery], *, wanted: bool
    ) -> list[Changes]:
        """Apply a part of a page, or nothing of it; its changes, if they are wanted."""
        careful = [delivery for delivery in live if delivery.held]
        while True:
            self.connection.execute("SAVEPOINT page")
            try:
                told = self._tell(fold, page, parking, live, careful, wanted=wanted)
            except BaseException as exc:
                self._take_back(fold)
                if not isinstance(exc, GroupFailed):
                    raise
                careful += [delivery for delivery in live if delivery.group is exc.group]
            else:
                self.connection.execute("RELEASE page")
                return told

    def _take_back(self, fold: Fold) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK TO page")
            self.connection.execute("RELEASE page")
        fold.forget()
        for delivery in self._deliveries.get(fold.projections[0].name, ()):
            delivery.forget()

    def _tell(
        self,
        fold: Fold,
        page: Page,
        parking: Parking,
        live: Sequence[Delivery],
        careful: Sequence[Delivery],
        *,
        wanted: bool,
    ) -> list[Changes]:
        if not isinstance(fold, Staged):
            fold.apply(self.connection, page)
            return []
        quick = [delivery for delivery in live if delivery not in careful]
        told: list[Changes] = []
        tally = Tally()
        for changes in fold.changes(self.connection, page):
            tally.add(changes)
            for delivery in quick:
                delivery.quickly(changes)
            if wanted or careful:
                told.append(changes)
        for delivery in quick:
            delivery.flush()
        for delivery in careful:
            delivery.carefully(told, (page.partition, page.through), parking)
        self.tally.join(tally)
        return told

    def _park(self, name: str, page: Page, parking: Parking, exc: Exception) -> None:
        error = exc.error if isinstance(exc, Poison) else exc
        key = (name, page.partition, page.through, 0)
        deadletters.park(
            self.connection,
            key,
            event_id=page.segments[0].event_id(page.through),
            error=error,
            now_ns=self.clock(),
        )
        if parking.state(self.connection, key, error) == "discarded":
            deadletters.discard(self.connection, key)

    # Groups that are behind

    def behind(self) -> list[str]:
        """The groups that have not applied all that their stage has told."""
        return sorted({name for name, _ in self._behind()})

    def lost(self) -> list[str]:
        """Those of them, and of the groups apart, that cannot catch up, as the spool was dropped:
        they must be rebuilt."""
        found = {
            delivery.group.name
            for stage, deliveries in self._deliveries.items()
            for delivery in deliveries
            for (name, partition) in self._places
            if name == delivery.group.name and not self._can_catch_up(name, stage, partition)
        }
        found |= {
            follower.name
            for stage in self._deliveries
            for follower in self._told_by(stage)
            for (name, partition) in self._places
            if name == stage and not self._can_follow(follower, partition)
        }
        return sorted(found)

    def _told_by(self, stage: str) -> list[Follower]:
        return [follower for follower in self.followers if follower.stage == stage]

    def _can_follow(self, follower: Follower, partition: int) -> bool:
        at = follower.at(partition)
        if follower.stage is None or at >= self.at(follower.stage, partition):
            return True
        return spool.following(self.connection, partition, at) is not None

    def _behind(self) -> Iterator[tuple[str, int]]:
        for stage, deliveries in self._deliveries.items():
            for delivery in deliveries:
                name = delivery.group.name
                for held, partition in self._places:
                    if held == name and self.at(name, partition) < self.at(stage, partition):
                        yield name, partition

    def _can_catch_up(self, name: str, stage: str, partition: int) -> bool:
        at = self.at(name, partition)
        if at >= self.at(stage, partition):
            return True
        return spool.following(self.connection, partition, at) is not None

    def catch_up(self, parking: Parking) -> bool:
        """Let groups that are behind apply the next page of the spool; False: there is nothing."""
        moved = False
        for name, partition in list(self._behind()):
            if name not in self.paused:
                moved |= self._catch_up(name, partition, parking)
        return moved

    def _catch_up(self, name: str, partition: int, parking: Parking) -> bool:
        at = self.at(name, partition)
        kept = spool.following(self.connection, partition, at)
        if kept is None:
            return False
        (delivery,) = [d for d in self._every_delivery() if d.group.name == name]
        letters = deadletters.last_id(self.connection)
        with self._transaction():
            delivery.carefully(kept.parts(), (partition, kept.through), parking)
            self._advance([name], Step(partition, at, kept.through, kept.hash, kept.committed_ns))
            self._trim(partition, {name: kept.through})
        self._read_checkpoints()
        if name not in {held for held, _ in self._behind()}:
            self.slow.discard(name)
        is_broken = parking.is_broken(self.connection, name, partition, kept.through)
        if is_broken and deadletters.last_id(self.connection) > letters:
            self._pause([name], kept.through)
        return True

    def _trim(self, partition: int, moved: dict[str, int]) -> None:
        """Forget what every group has applied that can catch up at all, here or apart."""
        if self.holds_spool():
            return
        places = [
            moved.get(delivery.group.name, self.at(delivery.group.name, partition))
            for stage, deliveries in self._deliveries.items()
            for delivery in deliveries
            if self._can_catch_up(delivery.group.name, stage, partition)
        ]
        places += [
            follower.at(partition)
            for follower in self.followers
            if follower.stage is not None and self._can_follow(follower, partition)
        ]
        spool.trim(self.connection, partition, min(places, default=0))

    def _bound_spool(self) -> None:
        if spool.is_full(self.connection, spool.LIMIT_BYTES):
            spool.clear(self.connection)
            extra = {"action": "project", "projections": self.behind()}
            _log.error("the spool is full: what is behind has to be rebuilt", extra=extra)

    # Dead letters

    def requeue(self, id: int, reader: LogReader) -> DeadLetter | None:
        """Apply a dead letter again; None if that went well, else the letter with its error.

        Raises:
            Unavailable: its projection is not fed now, or groups are behind the stage whose
                event it is, or apart from it: they would miss it.
        """
        letter = deadletters.get(self.connection, id)
        if letter.run_no:
            self._requeue_change(letter)
        else:
            self._requeue_event(letter, reader)
        left = deadletters.listing(self.connection, projection=letter.projection)
        return next((found for found in left if found.key == letter.key), None)

    def _requeue_change(self, letter: DeadLetter) -> None:
        for delivery in self._every_delivery():
            if delivery.group.name == letter.projection:
                with self._transaction():
                    delivery.requeue(letter)
                return
        raise Unavailable(f"{letter.projection} is not fed now; rebuild it first")

    def _requeue_event(self, letter: DeadLetter, reader: LogReader) -> None:
        fold = self._fold_of(letter.projection)
        deliveries = self._deliveries.get(fold.projections[0].name, [])
        if deliveries and (waiting := [*self.behind(), *self.paused]):
            raise Unavailable(f"{', '.join(waiting)} would miss it; wait until all have caught up")
        if names := [follower.name for follower in self._told_by(fold.projections[0].name)]:
            raise Unavailable(
                f"{', '.join(names)} would miss it in a process of its own: start the service "
                "without `apart`, requeue it, and set it apart again"
            )
        page = reader.read(letter.partition, letter.position - 1, limit_segments=1)
        with self._transaction():
            deadletters.remove(self.connection, letter.id)
            only = page.only(letter.position)
            self._apply_fold(fold, only, ParkAll(), deliveries, None, letter.projection)

    def _fold_of(self, projection: str) -> Fold:
        for fold in self.folds:
            if any(p.name == projection for p in fold.projections):
                return fold
        raise Unavailable(f"{projection} is not fed now; rebuild it first")

    def keep_small(self) -> None:
        """Bound the WAL; called between pages."""
        bound_wal(self.connection, self.path)


def _blamed(fold: Fold, error: Exception) -> str:
    names = [p.name for p in fold.projections]
    if isinstance(error, Poison) and error.projection in names:
        return error.projection
    return names[0]

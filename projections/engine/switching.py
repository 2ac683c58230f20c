"""Switching readers from one generation of the views to another, and back."""

from typing import Any

from events.crash import crash_at
from events.errors import BadInput
from events.log.port import LogReader
from projections.engine.feeder import PAGE_EVENTS
from projections.engine.pages import Pager
from projections.engine.parking import ParkAll
from projections.engine.pausing import Pausing
from projections.engine.view import View
from projections.storage import deadletters, generation
from projections.storage.apart import files
from projections.storage.generation import Generation


class Switching(Pausing):
    """Feeds generations, and says which of them readers see; the arguments are `Feeder`'s."""

    def misplaced(self) -> frozenset[str]:
        """Groups that are to have another place than the active generation gives them."""
        return self.beside() ^ {follower.name for follower in self.live().followers}

    def beside(self) -> frozenset[str]:
        """Groups that are to run in processes of their own."""
        if self.apart is not None:
            return self.apart
        active = self.generations.active()
        return frozenset() if active is None else frozenset(files(self.generations.path(active)))

    @staticmethod
    def catch_up(view: View, reader: LogReader, pages: int = 1 << 30) -> int:
        """Feed views up to the head, or some pages of each partition; returns the events."""
        count = 0
        for partition in reader.partitions:
            for _ in range(pages):
                at = view.position(partition)
                places = view.places(partition)
                page = Pager(reader, partition, PAGE_EVENTS).read(at, min(places[1:], default=None))
                if page.through == at:
                    break
                view.apply(page, ParkAll())
                count += page.count
        while view.catch_up(ParkAll()):
            pass
        return count

    def switch(self, view: View) -> None:
        """Show other views to readers. The old ones stay, fed, until the rollback time is over."""
        old = None if self._active is None else self._views.get(self._active)
        generation.stamp(view.connection, "activated_ns", self._clock())
        if old is not None and old is not view:
            generation.stamp(old.connection, "retired_ns", self._clock())
        crash_at("activate.middle")
        number = view.generation.number
        self.generations.activate(number)
        generation.stamp(view.connection, "retired_ns", None)
        if self._reader is None:
            view.close()  # the damaged views were not open; these are opened next
            return
        self._views[number] = view
        self._active = number
        last = deadletters.last_id(view.connection)
        self._settled = dict.fromkeys(view.names, last)
        self._standing = self._standing_of(view.path)
        view.holds_spool = self.holds_spool
        self.lag.applied(view.position(0))
        with self._moved:
            self._moved.notify_all()

    def activate(self, number: int | str | None = None) -> dict[str, Any]:
        """Switch readers to another generation that is kept; None: the newest.

        Raises:
            BadInput: there is none with this number, or it is of another release.
        """
        with self.exclusively():
            reader = self.reader()
            others = [n for n in sorted(self._views) if n != self._active]
            if number is None and not others:
                raise BadInput("no other generation is kept; `projections rebuild` makes one")
            chosen = others[-1] if number is None else int(number)
            if chosen == self._active:
                return self._switched()
            if chosen not in self._views:
                raise BadInput(f"generation {chosen} is not kept, or another release made it")
            self.catch_up(self._views[chosen], reader)
            self.switch(self._views[chosen])
            return self._switched()

    def rollback(self) -> dict[str, Any]:
        """Switch readers back to the generation that was active before.

        Raises:
            BadInput: none is kept.
        """
        with self.exclusively():
            self.reader()
            former = [
                (generation.describe(view.connection).retired_ns or 0, number)
                for number, view in self._views.items()
                if number != self._active
            ]
            if not former:
                raise BadInput("no former generation is kept")
            return self.activate(max(former)[1])

    def _switched(self) -> dict[str, Any]:
        live = self.live()
        parked = sum(deadletters.counts(live.connection).values())
        return {"generation": self._active, "dead_letters": parked}

    def kept(self) -> list[Generation]:
        """The generations that are fed; the active one is `active_generation`."""
        with self.exclusively():
            self.reader()
            return [generation.describe(v.connection) for _, v in sorted(self._views.items())]

    @property
    def active_generation(self) -> int | None:
        """The generation that readers see."""
        return self._active

    def remove_past(self, name: str) -> None:
        """Delete a view of the past.

        Raises:
            BadInput: there is none of this name.
        """
        path = self.generations.past(name)
        if not path.exists():
            raise BadInput(f"no view is named {name}")
        generation.remove_file(path)

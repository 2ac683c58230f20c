"""Seeing and settling dead letters, between two pages of the feeding."""

from collections.abc import Sequence

from events.errors import BadInput
from events.log.port import Recorded
from projections.engine.feeder import Feeder
from projections.engine.versions import SHARED
from projections.engine.view_file import transaction
from projections.storage import deadletters
from projections.storage.deadletters import DeadLetter


class Parked:
    """The dead letters of the active generation."""

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder

    def listing(self, projection: str | None = None) -> list[DeadLetter]:
        """Dead letters, oldest first."""
        with self._feeder.exclusively():
            return deadletters.listing(self._feeder.live().connection, projection=projection)

    def show(self, id: int) -> tuple[DeadLetter, Recorded | None]:
        """One dead letter, and its event unless it holds the changes of a run."""
        with self._feeder.exclusively():
            letter = deadletters.get(self._feeder.live().connection, id)
            wanted = [] if letter.run_no else [letter.position]
            found = self._feeder.reader().fetch(letter.partition, wanted)
            return letter, found[0] if found else None

    def requeue(self, ids: Sequence[int] | None = None) -> list[DeadLetter]:
        """Apply dead letters again (None: all parked ones); returns those that failed again."""
        with self._feeder.exclusively():
            view = self._feeder.live()
            if ids is None:
                held = deadletters.listing(view.connection)
                ids = [letter.id for letter in held if letter.state == "parked"]
            failed = [view.requeue(id, self._feeder.reader()) for id in ids]
            return [letter for letter in failed if letter is not None]

    def discard(self, ids: Sequence[int]) -> None:
        """Give up what dead letters hold: they count no more, and no rebuild stops at them.

        A later change of a run that can be applied settles its letter all the same.
        """
        with self._feeder.exclusively():
            connection = self._feeder.live().connection
            letters = [deadletters.get(connection, id) for id in ids]
            with transaction(connection):
                for letter in letters:
                    deadletters.discard(connection, letter.key)

    def discard_event(self, projection: str, position: int, partition: int = 0) -> None:
        """Let rebuilds go past an event that stopped one.

        Raises:
            BadInput: there is no such projection or event.
        """
        with self._feeder.exclusively():
            view = self._feeder.live()
            if projection not in {c.projection for c in view.checkpoints}:
                raise BadInput(f"there is no projection {projection!r}")
            found = self._feeder.reader().fetch(partition, [position])
            if not found:
                raise BadInput(f"the log has no position {position}")
            key = (projection, partition, position, 0)
            error = BadInput("discarded before it was parked")
            with transaction(view.connection):
                deadletters.park(
                    view.connection, key,
                    event_id=found[0].event_id, error=error, now_ns=view.clock(),
                )  # fmt: skip
                deadletters.discard(view.connection, key)

    def discard_run(self, projection: str, run_no: int) -> None:
        """Let rebuilds go past the changes of a run that stopped one.

        Raises:
            BadInput: there is no such projection, or it is not told by runs.
        """
        with self._feeder.exclusively():
            view = self._feeder.live()
            told = {p.name for f in view.folds for p in f.projections if SHARED in p.depends}
            if projection not in told:
                raise BadInput(f"{projection!r} is no projection that is told by runs")
            key = (projection, 0, 0, run_no)
            error = BadInput("discarded before it was parked")
            with transaction(view.connection):
                deadletters.hold(
                    view.connection, key, None,
                    error=error, now_ns=view.clock(), state="discarded",
                )  # fmt: skip

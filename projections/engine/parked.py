"""Seeing and settling dead letters, between two pages of the feeding."""

from collections.abc import Sequence

from events.errors import BadInput
from events.log.port import Recorded
from projections.engine.feeder import Feeder
from projections.engine.view import transaction
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
        """One dead letter and its event."""
        with self._feeder.exclusively():
            letter = deadletters.get(self._feeder.live().connection, id)
            found = self._feeder.reader().fetch(letter.partition, [letter.position])
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
        """Keep the events of dead letters out for good."""
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
            key = (projection, partition, position)
            error = BadInput("discarded before it was parked")
            with transaction(view.connection):
                deadletters.park(
                    view.connection, key,
                    event_id=found[0].event_id, error=error, now_ns=view.clock(),
                )  # fmt: skip
                deadletters.discard(view.connection, key)

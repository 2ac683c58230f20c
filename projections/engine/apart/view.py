"""The file of a group that runs apart, being fed beside the generation that it belongs to."""

from collections.abc import Callable, Sequence
from pathlib import Path

from projections.engine.port import Fold
from projections.engine.versions import SHARED
from projections.engine.view import View
from projections.storage import apart, checkpoint, generation


class ApartView(View):
    """One group's file; the stage's tables and the spool are those of the generation at `views`.

    The group's commits are synced: the projector forgets of the spool what they hold.
    """

    def __init__(
        self,
        path: Path,
        views: Path,
        folds: Sequence[Fold],
        clock: Callable[[], int],
    ) -> None:
        connection = generation.connect(path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("ATTACH ? AS stage", (apart.read_only(views),))
        connection.execute("CREATE TEMP VIEW spool AS SELECT * FROM stage.spool")
        super().__init__(path, connection, folds, clock)

    @property
    def is_told(self) -> bool:
        """Is the group told by changes? Else it reads the log."""
        return bool(self._deliveries)

    def at(self, name: str, partition: int) -> int:
        """See `ViewFile.at`; the stage stands where its own file says."""
        if name != SHARED:
            return super().at(name, partition)
        return checkpoint.stage_position(self.connection, name, partition)

    def places(self, partition: int) -> list[int]:
        """See `ViewFile.places`: none if the group does not read the log."""
        return [] if self.is_told else super().places(partition)

    def position(self, partition: int) -> int:
        """How far the group has come."""
        return min((c.position for c in self.checkpoints if c.partition == partition), default=0)

    def behind(self) -> list[str]:
        """None: it follows at a distance of its own, which its lag says."""
        return []

    def _trim(self, partition: int, moved: dict[str, int]) -> None:
        """The projector does that, whose file the spool is in."""

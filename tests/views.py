"""A data folder with a log and folded views, made without a service."""

from collections.abc import Iterable
from pathlib import Path

from events.log.door import GroupDoor
from events.log.port import Batch
from service.control.projector import build_projector


def make_folder(data: Path, batches: Iterable[Batch]) -> Path:
    """Append the batches to the log of `data` and fold all of it into its first views."""
    door = GroupDoor(data)
    for batch in batches:
        door.append(batch)
    door.close()
    projector = build_projector(data, rollback_s=3600.0)
    projector.open()
    while projector.step():
        pass
    projector.close()
    return data

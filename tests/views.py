"""A data folder with a log and folded views, made without a service."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from events.log.door import GroupDoor
from events.log.port import Batch
from events.log.reader import open_reader
from projections.fold import make_fold
from projections.generation import Generations, connect
from projections.traces.fold import Traces
from projections.view import ParkAll, View


def make_folder(data: Path, batches: Iterable[Batch]) -> Path:
    """Append the batches to the log of `data` and fold all of it into its first views."""
    door = GroupDoor(data)
    for batch in batches:
        door.append(batch)
    door.close()
    generations = Generations(data)
    number = generations.reserve()
    with closing(open_reader(data)) as reader:
        path = generations.path(number)
        folds = [make_fold(), Traces()]
        view = View.create(path, connect(path), folds, reader, number=number, indexed=True)
        while (page := reader.read(0, view.position(0))).count:
            view.apply(page, ParkAll())
        view.close()
    generations.activate(number)
    return data

"""What the projector answers, over its control socket or in a process that takes its place.

What concerns groups that run apart is passed on to their processes, so that whoever asks need not
know who feeds what.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from events.log.port import LogReader
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.engine.tuning import tune_collector
from projections.engine.versions import MakeFolds
from projections.fold import STAGE_NAME
from projections.storage import apart
from service.control.apart import ask_apart
from service.control.feeding import Feeding, Handlers
from service.mappings.applying import Applying, folds_by

ROLLBACK_S: Final = 3600.0
"""How long a projector that takes the place of another keeps what it has replaced, at least."""


def build_projector(data: Path, rollback_s: float, make_folds: MakeFolds = make_folds) -> Projector:
    """The projector of a data folder, with the projections of this release."""

    def open_log() -> LogReader:
        return open_reader(data)

    return Projector(data, open_log, make_folds, rollback_s=rollback_s)


@contextmanager
def in_its_place(data: Path) -> Iterator[Handlers]:
    """The handlers on a data folder whose projector does not run; its lock is the caller's."""
    applying = Applying.again(data)
    make = folds_by(lambda: {STAGE_NAME: applying.configuration()})
    projector = build_projector(data, ROLLBACK_S, make)
    tune_collector()
    try:
        yield {**Operations(projector, make).handlers(), **applying.handlers(projector)}
    finally:
        projector.close()


class Operations(Feeding):
    """The projector's operations."""

    def __init__(self, projector: Projector, make_folds: MakeFolds = make_folds) -> None:
        super().__init__(projector)
        self._projector = projector
        self._make_folds = make_folds

    def handlers(self) -> Handlers:
        """Every operation by its name."""
        projector = self._projector
        return {
            **super().handlers(),
            "status": lambda: status(projector),
            "rebuild": self.rebuild,
            "cancel": projector.cancel,
            "activate": lambda generation=None: projector.activate(generation),
            "rollback": projector.rollback,
            "remove_view": self.remove_view,
        }

    def rebuild(
        self,
        names: list[str] | None = None,
        as_of: int | None = None,
        view: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rebuild, telling progress; the work goes on if nobody listens any more."""
        return self._projector.rebuild(names, as_of, view)

    def remove_view(self, name: str) -> dict[str, Any]:
        """Delete a view of the past."""
        self._projector.remove_past(name)
        return {"removed": name}

    # Passed on, where a group apart is concerned

    def pause(self, names: list[str] | None = None) -> dict[str, Any]:
        """See `Feeding.pause`."""
        return self._by_name("pause", super().pause, names)

    def resume(self, names: list[str] | None = None) -> dict[str, Any]:
        """See `Feeding.resume`."""
        return self._by_name("resume", super().resume, names)

    def deadletters(self, projection: str | None = None) -> list[dict[str, Any]]:
        """See `Feeding.deadletters`; the ids are those that readers see."""
        found = super().deadletters(projection)
        for name in self._apart():
            if projection in {None, name}:
                found += self._shown(name, self._ask(name, "deadletters"))
        return found

    def requeue(self, id: int | None = None) -> dict[str, Any]:
        """See `Feeding.requeue`."""
        if id is not None:
            name, own = apart.holder_of(self._views(), id)
            if name is None:
                return super().requeue(own)
            failed = self._shown(name, self._ask(name, "requeue", id=own)["failed"])
        else:
            failed = super().requeue()["failed"]
            for name in self._apart():
                failed += self._shown(name, self._ask(name, "requeue")["failed"])
        return {"applied": not failed, "failed": failed}

    def _shown(self, name: str, letters: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Letters of a group's file with the ids that readers of the views see."""
        first = apart.LETTERS * (1 + self._apart().index(name))
        return [letter | {"id": first + letter["id"]} for letter in letters]

    def discard(self, id: int) -> dict[str, Any]:
        """See `Feeding.discard`."""
        name, own = apart.holder_of(self._views(), id)
        if name is None:
            return super().discard(own)
        self._ask(name, "discard", id=own)
        return {"discarded": id}

    def discard_event(self, projection: str, position: str | int) -> dict[str, Any]:
        """See `Feeding.discard_event`."""
        if projection not in self._apart():
            return super().discard_event(projection, position)
        self._ask(projection, "discard_event", projection=projection, position=position)
        return {"discarded": str(position)}

    def discard_run(self, projection: str, run: int) -> dict[str, Any]:
        """See `Feeding.discard_run`."""
        if projection not in self._apart():
            return super().discard_run(projection, run)
        self._ask(projection, "discard_run", projection=projection, run=run)
        return {"discarded": run}

    def _by_name(
        self, op: str, here: Callable[[list[str]], dict[str, Any]], names: list[str] | None
    ) -> dict[str, Any]:
        """Do it to all, or to those that are named, here and in other processes."""
        beside = self._apart()
        own = [name for name in names or () if name not in beside]
        answer: dict[str, Any] = {}
        if own or not names:
            answer = here(own)
        for name in names or beside:
            if name in beside:
                answer = self._ask(name, op)
        return answer

    def _views(self) -> Path:
        with self._projector.exclusively():
            return self._projector.live().path

    def _apart(self) -> list[str]:
        """The groups of the active generation that run apart, in order of name."""
        return list(apart.files(self._views()))

    def _ask(self, name: str, op: str, **arguments: Any) -> Any:
        return ask_apart(self._projector.data, self._make_folds, name, op, **arguments)

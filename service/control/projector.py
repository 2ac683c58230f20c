"""What the projector answers, over its control socket or in a process that takes its place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from events.log.port import LogReader
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.parked import Parked
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.engine.tuning import tune_collector
from projections.storage.deadletters import DeadLetter
from service.configuration.settings import Settings

Handlers = Mapping[str, Callable[..., Any]]


def build_projector(data: Path, rollback_s: float) -> Projector:
    """The projector of a data folder, with the projections of this release."""

    def open_log() -> LogReader:
        return open_reader(data)

    return Projector(data, open_log, make_folds, rollback_s=rollback_s)


@contextmanager
def in_its_place(data: Path) -> Iterator[Handlers]:
    """The handlers on a data folder whose projector does not run; its lock is the caller's."""
    projector = build_projector(data, Settings(data=data).rollback_s)
    tune_collector()
    try:
        yield Operations(projector).handlers()
    finally:
        projector.close()


class Operations:
    """The projector's operations, in the terms of JSON: positions are decimal strings."""

    def __init__(self, projector: Projector) -> None:
        self._projector = projector
        self._parked = Parked(projector)

    def handlers(self) -> Handlers:
        """Every operation by its name."""
        projector = self._projector
        return {
            "status": lambda: status(projector),
            "rebuild": self.rebuild,
            "cancel": projector.cancel,
            "activate": lambda generation=None: projector.activate(generation),
            "rollback": projector.rollback,
            "wait": self.wait,
            "pause": self.pause,
            "resume": self.resume,
            "remove_view": self.remove_view,
            "deadletters": self.deadletters,
            "requeue": self.requeue,
            "discard": self.discard,
            "discard_event": self.discard_event,
            "discard_run": self.discard_run,
        }

    def rebuild(
        self,
        names: list[str] | None = None,
        as_of: int | None = None,
        view: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rebuild, telling progress; the work goes on if nobody listens any more."""
        return self._projector.rebuild(names, as_of, view)

    def wait(
        self, position: str | int, names: list[str] | None = None, timeout_s: float = 5.0
    ) -> dict[str, Any]:
        """Wait until projections (None: all) have seen a position."""
        reached = self._projector.wait(int(position), names or (), timeout_s)
        return {"position": str(reached)}

    def pause(self, names: list[str] | None = None) -> dict[str, Any]:
        """Apply nothing to projections (None: all) until `resume`."""
        self._projector.pause(names or ())
        return {"paused": True}

    def resume(self, names: list[str] | None = None) -> dict[str, Any]:
        """Go on after a pause; None: all."""
        self._projector.resume(names or ())
        return {"paused": False}

    def remove_view(self, name: str) -> dict[str, Any]:
        """Delete a view of the past."""
        self._projector.remove_past(name)
        return {"removed": name}

    def deadletters(self, projection: str | None = None) -> list[dict[str, Any]]:
        """Dead letters, oldest first."""
        return [_as_json(letter) for letter in self._parked.listing(projection)]

    def requeue(self, id: int | None = None) -> dict[str, Any]:
        """Apply a dead letter again (None: all parked ones)."""
        failed = self._parked.requeue(None if id is None else [id])
        return {"applied": not failed, "failed": [_as_json(letter) for letter in failed]}

    def discard(self, id: int) -> dict[str, Any]:
        """Keep a dead letter's event out for good."""
        self._parked.discard([id])
        return {"discarded": id}

    def discard_event(self, projection: str, position: str | int) -> dict[str, Any]:
        """Let rebuilds go past an event that stopped one."""
        self._parked.discard_event(projection, int(position))
        return {"discarded": str(position)}

    def discard_run(self, projection: str, run: int) -> dict[str, Any]:
        """Let rebuilds go past the changes of a run that stopped one."""
        self._parked.discard_run(projection, run)
        return {"discarded": run}


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    return letter._asdict() | {
        "position": str(letter.position),
        "event_id": letter.event_id.hex(),
        "run_no": letter.run_no or None,
    }

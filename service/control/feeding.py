"""What every process that feeds views answers, in the terms of JSON: positions are decimal
strings."""

from collections.abc import Callable, Mapping
from typing import Any

from projections.engine.parked import Parked
from projections.engine.pausing import Pausing
from projections.storage.deadletters import DeadLetter

Handlers = Mapping[str, Callable[..., Any]]


class Feeding:
    """The operations on what one process feeds."""

    def __init__(self, feeder: Pausing) -> None:
        self._feeder = feeder
        self._parked = Parked(feeder)

    def handlers(self) -> Handlers:
        """Every operation by its name."""
        return {
            "wait": self.wait,
            "pause": self.pause,
            "resume": self.resume,
            "deadletters": self.deadletters,
            "requeue": self.requeue,
            "discard": self.discard,
            "discard_event": self.discard_event,
            "discard_run": self.discard_run,
        }

    def wait(
        self, position: str | int, names: list[str] | None = None, timeout_s: float = 5.0
    ) -> dict[str, Any]:
        """Wait until projections (None: all) have seen a position."""
        reached = self._feeder.wait(int(position), names or (), timeout_s)
        return {"position": str(reached)}

    def pause(self, names: list[str] | None = None) -> dict[str, Any]:
        """Apply nothing to projections (None: all) until `resume`."""
        self._feeder.pause(names or ())
        return {"paused": True}

    def resume(self, names: list[str] | None = None) -> dict[str, Any]:
        """Go on after a pause; None: all."""
        self._feeder.resume(names or ())
        return {"paused": False}

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

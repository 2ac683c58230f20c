"""What the projector says about itself: projections, generations, the rebuild that runs."""

from collections.abc import Collection
from typing import Any

from projections.engine.projector import Projector
from projections.engine.states import exceptional
from projections.engine.view import View
from projections.storage import deadletters
from projections.storage.generation import Generation
from projections.storage.states import CATCHING_UP_EVENTS, load


def status(projector: Projector) -> dict[str, Any]:
    """Everything a person or program asks first; positions are decimal strings."""
    with projector.exclusively():
        rebuild = projector.rebuild_status()
        if projector.failure is not None:
            return {
                "projections": [],
                "generations": [],
                "failure": projector.failure,
                "rebuild": rebuild,
            }
        view = projector.live()
        return {
            "projections": _projections(projector, view, projector.rebuilding()),
            "generations": [_generation(projector, g) for g in projector.kept()],
            "views": projector.generations.pasts(),
            "failure": None,
            "rebuild": rebuild,
        }


def _projections(
    projector: Projector, view: View, rebuilding: Collection[str]
) -> list[dict[str, Any]]:
    parked = deadletters.counts(view.connection) | {f.name: f.parked() for f in view.followers}
    head = projector.reader().head().position
    noted = load(view.connection)
    states = exceptional(view, projector.paused, rebuilding)
    for follower in view.followers:
        notes = follower.notes()
        noted |= notes
        states |= {name: (note.state, note.reason) for name, note in notes.items()}
    return [
        {
            "name": held.projection,
            "version": held.version,
            "partition": held.partition,
            "position": str(held.position),
            "head": str(head),
            "lag_events": max(head - held.position, 0),
            "lag_seconds": projector.lag.seconds_at(
                projector.reader(), held.partition, held.position
            )
            if head > held.position
            else 0.0,
            "status": states.get(held.projection, (_following(projector), None))[0],
            "since": noted[held.projection].since_ns if held.projection in noted else None,
            "failure": states.get(held.projection, (None, None))[1],
            "dead_letters": parked.get(held.projection, 0),
            "updated": held.updated_ns,
        }
        for held in view.every_checkpoint()
    ]


def _following(projector: Projector) -> str:
    return "catching_up" if projector.lag.events > CATCHING_UP_EVENTS else "running"


def _generation(projector: Projector, generation: Generation) -> dict[str, Any]:
    return {
        "number": generation.number,
        "active": generation.number == projector.active_generation,
        "created_ns": generation.created_ns,
        "activated_ns": generation.activated_ns,
        "retired_ns": generation.retired_ns,
    }

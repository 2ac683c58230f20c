"""What the projector says about itself: projections, generations, the rebuild that runs."""

import time
from typing import Any

from projections.engine.lag import SECOND_NS
from projections.engine.projector import Projector
from projections.engine.versions import names_of
from projections.engine.view import View
from projections.storage import deadletters
from projections.storage.checkpoint import Checkpoint
from projections.storage.generation import Generation

CATCHING_UP_EVENTS = 50_000


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
        names = rebuild["names"] if rebuild is not None and rebuild["running"] else []
        return {
            "projections": _projections(projector, view, names),
            "generations": [_generation(projector, g) for g in projector.kept()],
            "views": projector.generations.pasts(),
            "failure": None,
            "rebuild": rebuild,
        }


def _projections(projector: Projector, view: View, rebuilding: list[str]) -> list[dict[str, Any]]:
    parked = deadletters.counts(view.connection)
    head = projector.reader().head().position
    known = names_of(view.folds)
    behind = view.behind()
    return [
        {
            "name": held.projection,
            "version": held.version,
            "partition": held.partition,
            "position": str(held.position),
            "head": str(head),
            "lag_events": max(head - held.position, 0),
            "lag_seconds": _lag_s(projector, view, held, head),
            "status": _word(projector, held.projection, known, rebuilding, behind),
            "failure": projector.paused or view.paused.get(held.projection),
            "dead_letters": parked.get(held.projection, 0),
            "updated": held.updated_ns,
        }
        for held in view.checkpoints
    ]


def _lag_s(projector: Projector, view: View, held: Checkpoint, head: int) -> float:
    """Age of the oldest event that is not applied; of one that stands still, since when."""
    if held.position >= head:
        return 0.0
    if held.position == view.position(held.partition):
        return projector.lag.seconds
    return max(time.time_ns() - held.committed_ns, 0) / SECOND_NS if held.committed_ns else 0.0


def _word(
    projector: Projector,
    name: str,
    fed: frozenset[str],
    rebuilding: list[str],
    behind: list[str],
) -> str:
    if projector.paused is not None or name in projector.live().paused:
        return "paused"
    if name in rebuilding:
        return "rebuilding"
    if name not in fed:
        return "stopped"
    if name in behind:
        return "behind"
    return "catching_up" if projector.lag.events > CATCHING_UP_EVENTS else "running"


def _generation(projector: Projector, generation: Generation) -> dict[str, Any]:
    return {
        "number": generation.number,
        "active": generation.number == projector.active_generation,
        "created_ns": generation.created_ns,
        "activated_ns": generation.activated_ns,
        "retired_ns": generation.retired_ns,
    }

"""The state of each projection: in words, and on record for readers of the views."""

from collections.abc import Collection

from projections.engine.versions import names_of
from projections.engine.view import View
from projections.engine.view_file import transaction
from projections.storage import states
from projections.storage.states import Exceptional, Note


def exceptional(
    view: View, paused: str | None, rebuilding: Collection[str]
) -> dict[str, tuple[Exceptional, str | None]]:
    """Projections that do not simply follow the log, with the reason of a pause.

    `paused` is the reason why nothing at all is applied.
    """
    fed, behind = names_of(view.folds), view.behind()
    found: dict[str, tuple[Exceptional, str | None]] = {}
    for name in sorted({held.projection for held in view.checkpoints}):
        reason = paused or view.paused.get(name)
        if reason is not None:
            found[name] = "paused", reason
        elif name in rebuilding:
            found[name] = "rebuilding", None
        elif name not in fed:
            found[name] = "stopped", None
        elif name in behind:
            found[name] = "behind", None
    return found


def note(view: View, paused: str | None, rebuilding: Collection[str]) -> None:
    """Put the states on record where they have changed."""
    now = exceptional(view, paused, rebuilding)
    held = states.load(view.connection)
    if {name: (one.state, one.reason) for name, one in held.items()} == now:
        return
    notes = [
        Note(name, state, _since_ns(view, held.get(name), name, state), reason)
        for name, (state, reason) in now.items()
    ]
    with transaction(view.connection):
        states.replace(view.connection, notes)


def _since_ns(view: View, held: Note | None, name: str, state: Exceptional) -> int:
    """When a projection came into a state; of one that stands still, when it was last fed."""
    if held is not None and held.state == state:
        return held.since_ns
    if state == "stopped":
        return max(c.updated_ns for c in view.checkpoints if c.projection == name)
    return view.clock()

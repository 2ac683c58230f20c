"""Asking the projector, with a bar that shows how far a rebuild is."""

from pathlib import Path
from typing import Any, Final

from service.cli.output.bars import progress_bar
from service.cli.source.folder import existing_folder
from service.cli.source.role import perform
from service.control.projector import in_its_place

_BETWEEN_PAGES_S: Final = 15.0
"""The projector answers between two pages of the log, which a slow machine takes seconds for."""
_LASTING_S: Final = 24 * 3600.0
_LASTING: Final = frozenset({"rebuild", "cancel", "activate", "rollback", "apply_mappings"})
"""They fill views up to the head, or wait for a step of a rebuild to end, however long it takes."""


def patience_s(op: str) -> float:
    """How long the projector may be silent before `op` is given up, in seconds."""
    return _LASTING_S if op in _LASTING else _BETWEEN_PAGES_S


def ask_projector(data: Path | None, op: str, **arguments: Any) -> Any:
    """What the projector answers, or its files while it does not run."""
    with progress_bar() as progress:
        bar = progress.add_task(op, total=None, visible=False)

        def on_progress(told: dict[str, Any]) -> None:
            progress.update(
                bar,
                description=told["description"],
                completed=told["completed"],
                total=told["total"],
                visible=True,
            )

        return perform(
            existing_folder(data), "projector", op, in_its_place, on_progress,
            patience_s=patience_s(op), **arguments,
        )  # fmt: skip

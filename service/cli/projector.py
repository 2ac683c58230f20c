"""Asking the projector, with a bar that shows how far a rebuild is."""

from pathlib import Path
from typing import Any

from service.cli.bars import progress_bar
from service.cli.folder import existing_folder
from service.cli.role import perform
from service.projector import in_its_place


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
            existing_folder(data), "projector", op, in_its_place, on_progress, **arguments
        )

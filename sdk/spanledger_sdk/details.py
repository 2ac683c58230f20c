"""What may be said of an attempt while it runs, besides how it ends.

Attributes and events of its span; nothing here raises into the program.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.trace import Span

from spanledger_sdk import names
from spanledger_sdk.guard import complain

progress_listeners: Final[list[Callable[[Span, float, str | None], None]]] = []
"""Who is told of progress at once: lifecycle processors."""


class Details:
    """What has a span, and says these things of it."""

    __slots__ = ("span",)

    span: Span

    def set(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of the span; those that are None are left out."""
        try:
            if self.span.is_recording():
                known = {key: value for key, value in attributes.items() if value is not None}
                self.span.set_attributes(known)
        except Exception as exc:
            complain("attributes of an attempt could not be set", exc)

    def progress(self, fraction: float, message: str | None = None) -> None:
        """How far it is, from 0 to 1; sent at once where a lifecycle processor is at work."""
        try:
            fraction = min(max(float(fraction), 0.0), 1.0)
            if math.isnan(fraction):
                raise ValueError(fraction)
        except Exception as exc:
            complain("progress must be a number from 0 to 1", exc)
            return
        self.set({names.TASK_PROGRESS: fraction, names.TASK_PROGRESS_MESSAGE: message})
        for listener in progress_listeners if self.span.is_recording() else ():
            listener(self.span, fraction, message)

    def executor(
        self,
        id: str | None = None,
        *,
        tool: str | None = None,
        model: str | None = None,
        planner: str | None = None,
    ) -> None:
        """What runs it: worker, tool, model, planner."""
        self.set(
            {
                names.TASK_EXECUTOR_ID: id,
                names.TASK_EXECUTOR_TOOL: tool,
                names.TASK_EXECUTOR_MODEL: model,
                names.TASK_EXECUTOR_PLANNER: planner,
            }
        )

    def review(self, name: str, approved: bool, notes: str | None = None) -> None:
        """Somebody or something judged the result: an event of the span; may be said often."""
        try:
            said: dict[str, Any] = {names.REVIEW_NAME: name, names.REVIEW_APPROVED: approved}
            if notes is not None:
                said[names.REVIEW_NOTES] = notes
            self.span.add_event(names.REVIEW_EVENT, said)
        except Exception as exc:
            complain("a review could not be recorded", exc)

    def causes(self, *causes: str) -> None:
        """Tasks or attempts that made this one necessary."""
        self.set({names.TASK_CAUSES: list(causes)})

    def parents(self, *parents: str) -> None:
        """Tasks or attempts that came before."""
        self.set({names.TASK_PARENTS: list(parents)})

    def io(
        self,
        *,
        files_read: Iterable[str] | int | None = None,
        files_written: Iterable[str] | int | None = None,
        bytes_read: int | None = None,
        bytes_written: int | None = None,
    ) -> None:
        """What it read and wrote: names of files, or only how many."""
        self.set(
            {
                names.TASK_IO_FILES_READ: _listed(files_read),
                names.TASK_IO_FILES_WRITTEN: _listed(files_written),
                names.TASK_IO_BYTES_READ: bytes_read,
                names.TASK_IO_BYTES_WRITTEN: bytes_written,
            }
        )

    def retrieval(self, count: int | None = None, sources: Sequence[str] | None = None) -> None:
        """What it looked up: how many pieces, and where."""
        self.set({names.TASK_RETRIEVAL_COUNT: count, names.TASK_RETRIEVAL_SOURCES: sources})

    def cost(
        self,
        usd: float | None = None,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """What it cost: money, and tokens of a model."""
        self.set(
            {
                names.TASK_COST_USD: usd,
                names.INPUT_TOKENS: input_tokens,
                names.OUTPUT_TOKENS: output_tokens,
            }
        )


def _listed(files: Iterable[str] | int | None) -> list[str] | int | None:
    return files if files is None or isinstance(files, int) else [str(file) for file in files]

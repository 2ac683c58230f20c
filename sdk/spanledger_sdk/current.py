"""The same sentences as methods of an attempt, said of the current one from anywhere below it.

Outside of an attempt they do nothing: code that says them can be called alone, in a test for one.
"""

from collections.abc import Iterable, Sequence

from spanledger_sdk.attempts import current_attempt


def progress(fraction: float, message: str | None = None) -> None:
    """How far the current attempt is, from 0 to 1."""
    if found := current_attempt():
        found.progress(fraction, message)


def executor(
    id: str | None = None,
    *,
    tool: str | None = None,
    model: str | None = None,
    planner: str | None = None,
) -> None:
    """What runs the current attempt."""
    if found := current_attempt():
        found.executor(id, tool=tool, model=model, planner=planner)


def review(name: str, approved: bool, notes: str | None = None) -> None:
    """Somebody or something judged the current attempt's result."""
    if found := current_attempt():
        found.review(name, approved, notes)


def causes(*causes: str) -> None:
    """Tasks or attempts that made the current attempt necessary."""
    if found := current_attempt():
        found.causes(*causes)


def parents(*parents: str) -> None:
    """Tasks or attempts that came before the current attempt."""
    if found := current_attempt():
        found.parents(*parents)


def io(
    *,
    files_read: Iterable[str] | int | None = None,
    files_written: Iterable[str] | int | None = None,
    bytes_read: int | None = None,
    bytes_written: int | None = None,
) -> None:
    """What the current attempt read and wrote."""
    if found := current_attempt():
        found.io(
            files_read=files_read, files_written=files_written,
            bytes_read=bytes_read, bytes_written=bytes_written,
        )  # fmt: skip


def retrieval(count: int | None = None, sources: Sequence[str] | None = None) -> None:
    """What the current attempt looked up."""
    if found := current_attempt():
        found.retrieval(count, sources)


def cost(
    usd: float | None = None,
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> None:
    """What the current attempt cost."""
    if found := current_attempt():
        found.cost(usd, input_tokens=input_tokens, output_tokens=output_tokens)

"""Asking a role to do something: over its control socket, or in its place when it is not there.

A role that runs owns its files, so it is asked. One that does not run has released its lock:
the lock is taken, and the same handlers do the work in this process.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from events.errors import Unavailable
from service.control import socket as control
from service.control.locks import RoleLock, is_held

Handlers = Mapping[str, Callable[..., Any]]
Progress = Callable[[Any], None]
ANSWER_S: Final = 5.0
"""The longest wait for a short operation, as most are."""


def perform(
    data: Path,
    role: str,
    op: str,
    in_its_place: Callable[[Path], AbstractContextManager[Handlers]],
    on_progress: Progress | None = None,
    *,
    patience_s: float = ANSWER_S,
    **arguments: Any,
) -> Any:
    """What `role` answers to `op`; `on_progress` hears how far it is.

    Args:
        in_its_place: opens the role's handlers on the data folder, under its lock.
        patience_s: the longest wait for an answer, or for the next word on how far it is.

    Raises:
        Unavailable: the role runs and does not answer; the message says what to do.
        SpanledgerError: whatever the handler raises.
    """
    tell = on_progress or _ignore
    if is_held(data, role):
        return _ask(data, role, op, patience_s, tell, arguments)
    with RoleLock(data, role), in_its_place(data) as handlers:
        return _run(handlers[op], arguments, tell)


def _ask(
    data: Path, role: str, op: str, patience_s: float, tell: Progress, arguments: Mapping[str, Any]
) -> Any:
    try:
        return control.call(data, role, op, timeout_s=patience_s, on_progress=tell, **arguments)
    except control.NoAnswer as exc:
        process = "its process" if exc.pid is None else f"that process (`kill -9 {exc.pid}`)"
        raise Unavailable(
            f"{exc}: it is busy or hangs; try again, and if it stays so end {process}: "
            "the service starts it anew"
        ) from exc


def _run(handler: Callable[..., Any], arguments: Mapping[str, Any], tell: Progress) -> Any:
    answer = handler(**arguments)
    if not inspect.isgenerator(answer):
        return answer
    while True:
        try:
            tell(next(answer))
        except StopIteration as end:
            return end.value


def _ignore(_: Any) -> None:
    return None

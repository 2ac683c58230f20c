"""Asking a role to do something: over its control socket, or in its place when it is not there.

A role that runs owns its files, so it is asked. One that does not run has released its lock:
the lock is taken, and the same handlers do the work in this process.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from service import control
from service.locks import RoleLock, is_held

Handlers = Mapping[str, Callable[..., Any]]
Progress = Callable[[Any], None]
CONTROL_TIMEOUT_S = 24 * 3600.0


def perform(
    data: Path,
    role: str,
    op: str,
    in_its_place: Callable[[Path], AbstractContextManager[Handlers]],
    on_progress: Progress | None = None,
    **arguments: Any,
) -> Any:
    """What `role` answers to `op`; `on_progress` hears how far it is.

    Args:
        in_its_place: opens the role's handlers on the data folder, under its lock.

    Raises:
        Unavailable: the role runs and does not answer.
        SpanledgerError: whatever the handler raises.
    """
    tell = on_progress or _ignore
    if is_held(data, role):
        return control.call(
            data, role, op, timeout_s=CONTROL_TIMEOUT_S, on_progress=tell, **arguments
        )
    with RoleLock(data, role), in_its_place(data) as handlers:
        return _run(handlers[op], arguments, tell)


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

"""`DIR/endpoints.json`: where a running service listens.

It stands as long as the service serves. One that a killed service left behind is recognised by
the supervisor's lock, which the kernel releases, and not by the pid, which may be used again.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from events.atomic_file import replace_file
from service.control.locks import is_held

SUPERVISOR: Final = "supervisor"


def write_endpoints(
    data: Path, ports: Mapping[str, str], version: str, *, left_out: Mapping[str, str]
) -> None:
    """Publish `ports` (host:port by name) and this process, at once and whole.

    Args:
        left_out: the ports that were not asked for and could not be had, each with the reason.
    """
    content: dict[str, Any] = dict(ports) | {"pid": os.getpid(), "version": version}
    if left_out:
        content["left_out"] = dict(left_out)
    body = msgspec.json.format(msgspec.json.encode(content), indent=2)
    replace_file(_path(data), body + b"\n")


def remove_endpoints(data: Path) -> None:
    """Take the file away; the caller holds the supervisor's lock."""
    with contextlib.suppress(OSError):
        _path(data).unlink()


def read_endpoints(data: Path) -> dict[str, Any] | None:
    """Where the service of a data folder listens; None if none serves."""
    try:
        content = msgspec.json.decode(_path(data).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return None
    return content if is_held(data, SUPERVISOR) else None


def _path(data: Path) -> Path:
    return data / "endpoints.json"

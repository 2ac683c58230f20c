"""Optional native modules, loaded only where they were built from the sources that are here.

One that was compiled from other sources may take other arguments, or do something else than the
Python beside it: so it is after an upgrade of a checkout that was not installed again. It is left
out with a warning, and Python does its work. A wheel has no sources: its modules came with it.
`hatch_build.py` runs this file too, so it imports nothing of ours.
"""

import hashlib
import importlib
import logging
from enum import Enum
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


class Native(Enum):
    """How a native module stands."""

    ABSENT = "absent"
    STALE = "stale"
    READY = "ready"


def digest_of(sources: Path) -> str:
    """What `sources`, a folder of C files, are; compiled into the module as `SOURCES`."""
    digest = hashlib.sha256()
    for path in sorted(sources.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def state_of(name: str) -> Native:
    """How the module `name` stands, without using it."""
    try:
        module = importlib.import_module(name)
    except ImportError:
        return Native.ABSENT
    sources = Path(importlib.import_module(name.rpartition(".")[0]).__path__[0], "native")
    is_ready = not sources.is_dir() or getattr(module, "SOURCES", "") == digest_of(sources)
    return Native.READY if is_ready else Native.STALE


def load(name: str) -> Any:
    """The module `name`; None where it was not built, or from other sources."""
    state = state_of(name)
    if state is Native.STALE:
        _log.warning(
            "%s was built from other sources than these, so Python does its work, slower; "
            "install again (make install)", name, extra={"action": "start"},
        )  # fmt: skip
    return importlib.import_module(name) if state is Native.READY else None

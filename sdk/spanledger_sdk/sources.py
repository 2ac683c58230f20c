"""Where times and run ids come from: the machine, or in a test something that counts."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass


def _new_run_id() -> str:
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Sources:
    """Replaced as a whole, by `use`."""

    now_ns: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, UTC."""
    new_run_id: Callable[[], str] = _new_run_id
    """One that nobody has had: 32 hex digits."""


_current = Sources()


def current() -> Sources:
    """Those in use."""
    return _current


def use(sources: Sources) -> Sources:
    """Use others; returns those before."""
    global _current
    before, _current = _current, sources
    return before

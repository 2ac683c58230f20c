"""What an attempt used: processor seconds of its thread, memory, bytes from and to storage.

Only what can be told apart is told. Between the steps of a coroutine the thread runs others, so
attempts in an event loop have no figures of processor and bytes; an attempt that ends in another
thread than it began has none either.
"""

import contextlib
import sys
import threading
import time
from asyncio import _get_running_loop
from pathlib import Path
from typing import Any, Final

from spanledger_sdk import names
from spanledger_sdk.settings import Usage

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]
try:
    import psutil
except ImportError:  # optional
    psutil = None

_THREAD_IO: Final = Path("/proc/thread-self/io")
_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024


Cpu = tuple[int, int]
"""At the beginning: the thread, and its processor time in ns."""


def begin(wanted: Usage) -> "Meter | Cpu | None":
    """What is asked at the end; None if nothing is to be measured, or can be."""
    if wanted == "none":
        return None
    if wanted == "all":
        return Meter()
    return begin_cpu()


def begin_cpu() -> Cpu | None:
    """None in an event loop, whose thread is shared."""
    return None if _get_running_loop() else (threading.get_ident(), time.thread_time_ns())


def cpu_since(begun: Cpu) -> dict[str, Any]:
    """Processor seconds since `begin_cpu`; empty in another thread."""
    if begun[0] != threading.get_ident():
        return {}
    return {names.TASK_USAGE_CPU: (time.thread_time_ns() - begun[1]) / 1e9}


class Meter:
    """All that can be told of an attempt; begins when it is made."""

    __slots__ = ("_cpu", "_io")

    def __init__(self) -> None:
        self._cpu = begin_cpu()
        self._io = None if self._cpu is None else _storage_bytes()

    def read(self) -> dict[str, Any]:
        """What was used so far; empty if nothing can be told."""
        found = cpu_since(self._cpu) if self._cpu else {}
        if found and self._io is not None and (now := _storage_bytes()) is not None:
            found[names.TASK_USAGE_READ] = now[0] - self._io[0]
            found[names.TASK_USAGE_WRITTEN] = now[1] - self._io[1]
        if peak := _peak_memory_bytes():
            found[names.TASK_USAGE_PEAK_MEMORY] = peak
        return found


def _storage_bytes() -> tuple[int, int] | None:
    """Bytes read from and written to storage: by this thread, else (psutil) by the process."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        lines = _THREAD_IO.read_text().splitlines()
        found = dict(line.split(": ", 1) for line in lines)
        return int(found["read_bytes"]), int(found["write_bytes"])
    if psutil is not None:
        with contextlib.suppress(AttributeError, psutil.Error):
            counters = psutil.Process().io_counters()
            return counters.read_bytes, counters.write_bytes
    return None


def _peak_memory_bytes() -> int:
    """The most that the process has had resident so far; 0 if nobody tells."""
    if resource is not None:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES
    if psutil is not None:
        info = psutil.Process().memory_info()
        return int(getattr(info, "peak_wset", info.rss))
    return 0

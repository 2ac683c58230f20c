"""Looking at processes from outside."""

import time
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_gone(pids: list[int], within_s: float) -> list[int]:
    """The processes that still run after `within_s`."""
    deadline_s = time.monotonic() + within_s
    left = pids
    while left and time.monotonic() < deadline_s:
        time.sleep(0.02)
        left = [pid for pid in left if alive(pid)]
    return left


def rss_bytes(pid: int) -> int:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise ProcessLookupError(pid)

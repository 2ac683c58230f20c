"""What Linux says about processes, and on which cores they may run.

Processor time counts every thread of a process, user and system, in steps of 10 ms.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SERVER_CORE: Final = frozenset({0})
CLIENT_CORE: Final = frozenset({1})
BOTH_CORES: Final = SERVER_CORE | CLIENT_CORE
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def own_cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def pss_bytes(pid: int) -> int:
    """Memory of a process, what it shares divided among those who share it."""
    return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") * 1024


def peak_rss_bytes(pid: int) -> int:
    """The most memory that a process has held."""
    return _field(Path(f"/proc/{pid}/status"), "VmHWM:") * 1024


def written_bytes(pid: int) -> int:
    """Bytes that a process has caused to be written to disk."""
    return _field(Path(f"/proc/{pid}/io"), "write_bytes:")


def _field(path: Path, name: str) -> int:
    line = next(line for line in path.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


def pin(pid: int, cores: frozenset[int]) -> None:
    """Let every thread of a process run on these cores only; threads to come inherit it."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(task.name), cores)


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Processes that are started in here run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe() -> str:
    """This machine in a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown processor",
    )
    memory_gib = _field(Path("/proc/meminfo"), "MemTotal:") / (1 << 20)
    return f"{os.cpu_count()} cores of {model}, {memory_gib:.0f} GiB, Linux {os.uname().release}"


def load_average() -> float:
    """Processes that wanted to run in the last minute: other work than ours shows here."""
    return os.getloadavg()[0]

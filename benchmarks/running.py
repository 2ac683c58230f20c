"""A service under measurement: started in a fresh folder, its roles pinned and looked at."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import machine
from service.control.socket import call
from tests.serving import Service, serving

_SETTLE_S: Final = 300.0
_QUIET_S: Final = 0.5


class Running:
    """A ready service and its processes."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.data = service.data
        self.pids = service.children() | {"supervisor": service.pid}

    def pin(self, ingest: frozenset[int], rest: frozenset[int]) -> None:
        """Receivers and writer on some cores, all other roles on others."""
        for instance, pid in self.pids.items():
            machine.pin(pid, ingest if _is_ingest(instance) else rest)

    def pause_views(self) -> None:
        """Let the projector apply nothing."""
        call(self.data, "projector", "pause")

    def head(self) -> int:
        """The last committed position."""
        return int(call(self.data, "writer", "head")["position"])

    def wait_for_views(self, position: int, within_s: float = _SETTLE_S) -> float:
        """Wait until every projection has seen `position`; returns how long that took."""
        started_s = time.monotonic()
        while (left_s := started_s + within_s - time.monotonic()) > 0:
            answer = self._reached(position, min(left_s, 10.0))
            if answer >= position:
                return time.monotonic() - started_s
        raise TimeoutError(f"the views have not seen {position} within {within_s:g} s")

    def _reached(self, position: int, timeout_s: float) -> int:
        with contextlib.suppress(Exception):
            answer: dict[str, Any] = call(
                self.data, "projector", "wait", timeout_s=timeout_s + 5,
                position=str(position),
            )  # fmt: skip
            return int(answer["position"])
        return -1

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds of each instance so far."""
        return {instance: machine.cpu_s(pid) for instance, pid in self.pids.items()}

    def ingest_cpu_s(self) -> float:
        """Processor seconds of receivers and writer so far."""
        return sum(machine.cpu_s(pid) for name, pid in self.pids.items() if _is_ingest(name))

    def ingest_written_bytes(self) -> int:
        """Bytes that receivers and writer had written to disk, with what waits in the WAL."""
        wal = self.data / "ledger.db-wal"
        written = sum(machine.written_bytes(p) for n, p in self.pids.items() if _is_ingest(n))
        return written + (wal.stat().st_size if wal.exists() else 0)

    def pss_bytes(self) -> dict[str, int]:
        """Memory of each instance."""
        return {instance: machine.pss_bytes(pid) for instance, pid in self.pids.items()}

    def settle(self) -> None:
        """Wait until the views have seen everything and nothing works any more."""
        self.wait_for_views(self.head())
        wait_until_idle(list(self.pids.values()))


def _is_ingest(instance: str) -> bool:
    return instance.startswith(("receiver", "writer"))


def wait_until_idle(pids: list[int], within_s: float = _SETTLE_S) -> None:
    """Wait until processes use less than a twentieth of a core for two looks in a row."""
    deadline_s = time.monotonic() + within_s
    quiet, used_s = 0, sum(map(machine.cpu_s, pids))
    while quiet < 2 and time.monotonic() < deadline_s:
        time.sleep(_QUIET_S)
        before_s, used_s = used_s, sum(map(machine.cpu_s, pids))
        quiet = quiet + 1 if used_s - before_s < 0.05 * _QUIET_S else 0


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on a real disk that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="spanledger-bench-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def running(folder: Path, *args: str) -> Iterator[Running]:
    """A ready service on `folder / "data"`."""
    with serving(folder, "--log-level", "warning", *args) as service:
        yield Running(service)

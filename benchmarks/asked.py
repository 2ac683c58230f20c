"""What benchmarks of questions share: calls timed, and an API in a process of its own."""

import contextlib
import http.client
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from benchmarks.figures import Figure
from tests import serving

FIRST: Final = 3
"""Calls before those that count."""

T = TypeVar("T")
Clock = Callable[[], float]


class Timing(NamedTuple):
    """Wall and processor time of some calls, ascending, in ms."""

    wall_ms: list[float]
    cpu_ms: list[float]

    @property
    def details(self) -> dict[str, float]:
        """What is told beside a figure."""
        return {
            "p50_ms": at(self.wall_ms, 0.5),
            "max_ms": self.wall_ms[-1],
            "cpu_p50_ms": at(self.cpu_ms, 0.5),
            "cpu_p95_ms": at(self.cpu_ms, 0.95),
            "cpu_p99_ms": at(self.cpu_ms, 0.99),
            "calls": len(self.wall_ms),
        }


def at(values: list[float], share: float) -> float:
    """The quantile of ascending values."""
    return values[min(int(len(values) * share), len(values) - 1)]


def drawn(draw: Callable[[], T], call: Callable[[T], Any]) -> Iterator[Callable[[], Any]]:
    """Calls without end, each of what was drawn before its time begins."""
    while True:
        yield partial(call, draw())


def timed(calls: Iterator[Callable[[], Any]], count: int, clock: Clock) -> Timing:
    """Time calls; `clock` tells the processor time, in s, of what answers."""
    walls, cpus = [], []
    for call in itertools.islice(calls, count + FIRST):
        started, started_cpu = time.perf_counter(), clock()
        call()
        walls.append((time.perf_counter() - started) * 1e3)
        cpus.append((clock() - started_cpu) * 1e3)
    return Timing(sorted(walls[FIRST:]), sorted(cpus[FIRST:]))


def figure(
    name: str, timing: Timing, share: float, floor_ms: float, load: str, roles: str = "api",
    **more: float,
) -> Figure:  # fmt: skip
    """The wall time of a share of the calls against a floor."""
    return Figure(
        name=name, value=at(timing.wall_ms, share), unit=f"ms (p{share * 100:g})", floor=floor_ms,
        bound="at most", roles=roles, cores="1 of 2", load=load, details=timing.details | more,
    )  # fmt: skip


class Api(NamedTuple):
    """An API that answers on one connection."""

    connection: http.client.HTTPConnection
    pid: int

    def ask(
        self, path: str, accept: str = "*/*", body: bytes | None = None
    ) -> tuple[bytes, http.client.HTTPResponse]:
        """The body that answers at a path, and its headers; redirects are answers too.

        Raises:
            RuntimeError: it was refused.
        """
        headers = {"accept": accept, "content-type": "application/json"}
        self.connection.request("POST" if body else "GET", path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 303):
            raise RuntimeError(f"{path}: {answer.status} {content[:200]!r}")
        return content, answer

    def worked_s(self) -> float:
        """Processor seconds of the service's threads so far, to the ns."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def api(data: Path) -> Iterator[Api]:
    """An API of a data folder in a process of its own, and one connection to it."""
    (data.parent / f"{data.name}.log").unlink(missing_ok=True)  # it tells of an earlier address
    service = serving.start(data, "--role", "api", "--log-level", "warning")
    try:
        (address,) = serving.addresses_of(service, "API")
        with contextlib.closing(http.client.HTTPConnection(address, timeout=60)) as connection:
            yield Api(connection, service.pid)
    finally:
        service.terminate()


def warm(path: Path) -> None:
    """Read a file once, so that it lies in the page cache; before a database is opened."""
    with path.open("rb", buffering=0) as file:
        while file.read(16 << 20):
            pass

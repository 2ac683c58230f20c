"""A log of ten million events: what appending costs at its end, how long a start takes, memory.

The log is grown by the writer itself, in this process. Then the service starts on it, without
any views: the projector begins at the log's start and lags far behind, which is the worst case.
"""

import time
import urllib.error
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Final

import grpc

from benchmarks import ledger, machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch
from benchmarks.sender import EXPORT, Order, Sender
from benchmarks.stamp import requests
from events.log.port import Batch
from events.log.writer import LogWriter
from tests import serving

_WINDOW: Final = 200
_RATE: Final = 5_000
_FIRST_ROUND: Final = 50_000
_START_S: Final = 120.0


def run(quick: bool) -> list[Figure]:
    """Grow, start, send steadily; once."""
    events = 1_000_000 if quick else 10_000_000
    with scratch() as folder:
        (folder / "data").mkdir()
        grown = _grow(folder / "data", events, f"mixed, {events:,} events")
        started = _start(folder, f"{events:,} events, no views yet")
        memory = _memory(folder, events, 5.0 if quick else 15.0)
    return [*grown, *started, *memory]


def _grow(data: Path, events: int, load: str) -> list[Figure]:
    """Append one request at a time, as a single sender would have it; the commit is FULL."""
    writer = LogWriter(data)
    walls_s: list[float] = []
    cpus_s: list[float] = []
    for batch in _prepared(ledger.batches("mixed", events)):
        started_s, started_cpu_s = time.perf_counter(), time.thread_time()
        writer.append_group([batch])
        writer.checkpoint()
        walls_s.append(time.perf_counter() - started_s)
        cpus_s.append(time.thread_time() - started_cpu_s)
    writer.close()
    first = int(len(cpus_s) * 100_000 / events)
    early, late = cpus_s[first - _WINDOW // 2 : first + _WINDOW // 2], cpus_s[-_WINDOW * 5 :]
    early_us, late_us = (fmean(part) / 512 * 1e6 for part in (early, late))
    ordered = sorted(walls_s)

    def figure(name: str, value: float, unit: str, floor: float, **details: float) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, floor=floor, bound="at most", roles="writer",
            cores="1 of 2", load=load, details=details,
        )  # fmt: skip

    return [
        figure("append cost at the end against 0.1 M", late_us / early_us, "×", 1.1,
               early_cpu_us=early_us, late_cpu_us=late_us),
        figure("longest stall of an answer while growing", max(walls_s) * 1e3, "ms", 200,
               p50_ms=ordered[len(ordered) // 2] * 1e3,
               p99_ms=ordered[int(len(ordered) * 0.99)] * 1e3),
    ]  # fmt: skip


def _prepared(batches: Iterator[Batch]) -> Iterator[Batch]:
    """A stretch of batches at a time is made before it is appended, without a pause in it."""
    while held := list(islice(batches, _WINDOW)):
        yield from held


def _start(folder: Path, load: str) -> list[Figure]:
    """Start the service; seconds until a span is acknowledged and a question answered."""
    began_s = time.monotonic()
    service = serving.start(folder / "data", "--log-level", "warning")
    try:
        body = next(requests("single", _FIRST_ROUND))
        accepted_s = answered_s = 0.0
        while not (accepted_s and answered_s) and time.monotonic() - began_s < _START_S:
            found = service.endpoints()
            if not found or found["pid"] != service.pid:
                time.sleep(0.02)
                continue
            service.grpc, service.api = found["grpc"], found["api"]
            if not accepted_s and _accepts(service.grpc, body):
                accepted_s = time.monotonic() - began_s
            if not answered_s and _answers(service):
                answered_s = time.monotonic() - began_s
    finally:
        service.terminate()
    return [
        Figure(
            name="start to accepting and answering", value=max(accepted_s, answered_s), unit="s",
            floor=5.0, bound="at most", roles="all", cores="2", load=load,
            details={"accepting_s": accepted_s, "answering_s": answered_s},
        )
    ]  # fmt: skip


def _accepts(target: str, body: bytes) -> bool:
    with grpc.insecure_channel(target) as channel:
        try:
            channel.unary_unary(EXPORT)(body, timeout=10, wait_for_ready=False)
        except grpc.RpcError:
            return False
    return True


def _answers(service: serving.Service) -> bool:
    try:
        service.ask("/api/v1/tasks?limit=10")
    except (urllib.error.URLError, OSError):
        return False
    return True


def _memory(folder: Path, events: int, seconds: float) -> list[Figure]:
    """Memory of all roles under a steady load, while the projector catches up."""
    with running(folder) as service:
        order = Order(
            target=service.service.grpc, load="mixed", rate=_RATE, seconds=2 * seconds,
            requests=int(_RATE * seconds / 512), first_round=_FIRST_ROUND,
        )  # fmt: skip
        with Sender(order, machine.BOTH_CORES) as sender:
            sender.start()
            time.sleep(0.8 * seconds)
            used = service.pss_bytes()
            sender.result()
        service.pause_views()  # it would fold for minutes, and there is nothing more to see
    mib = {name: size / (1 << 20) for name, size in used.items()}
    return [
        Figure(
            name="memory of all roles (PSS)", value=sum(mib.values()), unit="MiB", floor=1024,
            bound="at most", roles="all", cores="2", load=f"mixed, {_RATE:,}/s on {events:,}",
            details={
                **{f"{name}_mib": value for name, value in mib.items()},
                "receiver_mib_per_million_ids": mib["receiver"] / events * 1e6,
            },
        )
    ]  # fmt: skip

"""Requests of one span over gRPC, 64 in flight: the cost of a request rather than of a span."""

from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.bare import bare_server
from benchmarks.figures import Figure
from benchmarks.running import running, scratch
from benchmarks.sender import Order, Sender

_FLOOR_PER_S = 5_000
_FLOOR_P99_MS = 25.0
_FLIGHT = 64


def run(quick: bool) -> list[Figure]:
    """Medians of a few runs; receiver and writer on a core of their own, the views paused."""
    seconds, repeats = (2.0, 1) if quick else (5.0, 3)
    runs, bare_runs = [], []
    for _ in range(repeats):
        runs.append(_once(seconds))
        bare_runs.append(_bare(seconds))
    details, bare = _medians(runs), _medians(bare_runs)
    per_s, p99_ms, bare_per_s = details.pop("per_s"), details.pop("p99_ms"), bare.pop("per_s")

    def figure(name: str, value: float, unit: str, floor: float | None, **more: Any) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, floor=floor, cores="1 + sender's",
            load=f"single, {_FLIGHT} in flight", **({"roles": "receiver+writer"} | more),
        )  # fmt: skip

    return [
        figure("single spans acked", per_s, "requests/s", _FLOOR_PER_S, details=details),
        figure("single spans, p99", p99_ms, "ms", _FLOOR_P99_MS, bound="at most"),
        figure("bare server acked", bare_per_s, "requests/s", None, roles="gRPC", details=bare),
        figure("single, ratio to a bare server", per_s / bare_per_s, "×", None),
    ]


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _once(seconds: float) -> dict[str, float]:
    with scratch() as folder, running(folder) as service:
        service.pin(machine.SERVER_CORE, machine.CLIENT_CORE)
        service.pause_views()
        return _load(service.service.grpc, service.ingest_cpu_s, seconds)


def _bare(seconds: float) -> dict[str, float]:
    """The same requests to a server that does nothing with them: what a machine is worth."""
    with bare_server() as (target, pid):
        return _load(target, lambda: machine.cpu_s(pid), seconds)


def _load(target: str, cpu_s: Callable[[], float], seconds: float) -> dict[str, float]:
    order = Order(
        target=target, load="single", seconds=seconds,
        requests=int(seconds * 20_000), flight=_FLIGHT, warm_up=500,
    )  # fmt: skip
    with Sender(order, machine.CLIENT_CORE) as sender:
        before_s = cpu_s()
        sent = sender.send()
        cpu_us = (cpu_s() - before_s) / sent.spans * 1e6
    return {
        "per_s": sent.per_s,
        "p99_ms": sent.p99_ms,
        "p50_ms": sent.p50_ms,
        "cpu_us": cpu_us,
        "by_cpu_per_s": 1e6 / cpu_us,
        "sender_cpu_us": sent.cpu_us,
    }

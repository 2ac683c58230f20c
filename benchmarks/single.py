"""Requests of one span over gRPC, 64 in flight: the cost of a request rather than of a span."""

from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch
from benchmarks.sender import Order, Sender

_FLOOR_PER_S = 5_000
_FLOOR_P99_MS = 25.0
_FLIGHT = 64


def run(quick: bool) -> list[Figure]:
    """Medians of a few runs; receiver and writer on a core of their own, the views paused."""
    seconds, repeats = (2.0, 1) if quick else (5.0, 3)
    runs = [_once(seconds) for _ in range(repeats)]
    details = {name: median(run[name] for run in runs) for name in runs[0]}
    per_s, p99_ms = details.pop("per_s"), details.pop("p99_ms")

    def figure(name: str, value: float, unit: str, floor: float, **more: Any) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, floor=floor, roles="receiver+writer",
            cores="1 + sender's", load=f"single, {_FLIGHT} in flight",
            **more,
        )  # fmt: skip

    return [
        figure("single spans acked", per_s, "requests/s", _FLOOR_PER_S, details=details),
        figure("single spans, p99", p99_ms, "ms", _FLOOR_P99_MS, bound="at most"),
    ]


def _once(seconds: float) -> dict[str, float]:
    with scratch() as folder, running(folder) as service:
        service.pin(machine.SERVER_CORE, machine.CLIENT_CORE)
        service.pause_views()
        order = Order(
            target=service.service.grpc, load="single", seconds=seconds,
            requests=int(seconds * 20_000), flight=_FLIGHT, warm_up=500,
        )  # fmt: skip
        with Sender(order, machine.CLIENT_CORE) as sender:
            before_s = service.ingest_cpu_s()
            sent = sender.send()
            cpu_us = (service.ingest_cpu_s() - before_s) / sent.spans * 1e6
        return {
            "per_s": sent.per_s,
            "p99_ms": sent.p99_ms,
            "p50_ms": sent.p50_ms,
            "cpu_us": cpu_us,
            "by_cpu_per_s": 1e6 / cpu_us,
            "sender_cpu_us": sent.cpu_us,
        }

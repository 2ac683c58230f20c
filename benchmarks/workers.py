"""Acknowledged on two cores, the sender's share included: two receivers and a writer."""

from statistics import median

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch
from benchmarks.sender import Order, Sender

_FLOOR_PER_S = 80_000


def run(quick: bool) -> list[Figure]:
    """Medians of a few runs; the views are paused."""
    seconds, repeats = (2.0, 1) if quick else (5.0, 3)
    runs = [_once(seconds) for _ in range(repeats)]
    details = {name: median(run[name] for run in runs) for name in runs[0]}
    return [
        Figure(
            name="acked, workers and writer", value=details.pop("per_s"), unit="spans/s",
            floor=_FLOOR_PER_S, roles="2 receivers, writer, sender", cores="2", load="mixed",
            details=details,
        )
    ]  # fmt: skip


def _once(seconds: float) -> dict[str, float]:
    with scratch() as folder, running(folder, "--workers", "2") as service:
        service.pause_views()
        order = Order(
            target=service.service.grpc, load="mixed", seconds=seconds,
            requests=int(seconds * 300_000 / 512), flight=32, channels=16,
        )  # fmt: skip
        with Sender(order, machine.BOTH_CORES) as sender:
            before_s = service.cpu_s()
            sent = sender.send()
            after_s = service.cpu_s()
        used = {name: (after_s[name] - before_s[name]) / sent.spans * 1e6 for name in after_s}
        return {
            "per_s": sent.per_s,
            "p50_ms": sent.p50_ms,
            "p99_ms": sent.p99_ms,
            "receivers_cpu_us": used["receiver-1"] + used["receiver-2"],
            "writer_cpu_us": used["writer"],
            "sender_cpu_us": sent.cpu_us,
        }

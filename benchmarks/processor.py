"""Processor time a span until everything is settled, views included, against Jaeger with Badger.

All roles are counted, the idle ones too, from the first request until nothing works any more.
"""

from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch, wait_until_idle
from benchmarks.sender import Order, Sender
from tests.peers import Jaeger

_FLOOR = 1 / 3
_RATE = 25_000


def run(quick: bool) -> list[Figure]:
    """Medians of a few runs of each."""
    seconds, repeats = (2.0, 1) if quick else (6.0, 3)
    ours = [_ours(seconds) for _ in range(repeats)]
    badger = [_badger(seconds) for _ in range(repeats)]
    details = {name: median(run[name] for run in ours) for name in ours[0]}
    us, peer_us = details.pop("total"), median(badger)

    def figure(name: str, value: float, unit: str, roles: str, **more: Any) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, roles=roles, cores="2", load="mixed", **more
        )

    peer = "Jaeger, Badger"
    return [
        figure("processor time, settled", us, "µs/span", "all", details=details),
        figure(f"{peer}: processor time, settled", peer_us, "µs/span", peer),
        figure(
            f"processor time, ratio to {peer}", us / peer_us, "×", "all",
            floor=_FLOOR, bound="at most",
        ),
    ]  # fmt: skip


def _ours(seconds: float) -> dict[str, float]:
    with scratch() as folder, running(folder) as service:
        order = Order(
            target=service.service.grpc, load="mixed", seconds=2 * seconds,
            requests=int(seconds * _RATE / 512), rate=_RATE,
        )  # fmt: skip
        with Sender(order, machine.BOTH_CORES) as sender:
            service.settle()
            before_s = service.cpu_s()
            sent = sender.send()
            service.settle()
            after_s = service.cpu_s()
        used = {name: (after_s[name] - before_s[name]) / sent.spans * 1e6 for name in after_s}
        return {"total": sum(used.values()), **used}


def _badger(seconds: float) -> float:
    with (
        scratch() as folder,
        Jaeger(folder / "jaeger", storage="badger", max_recv_msg_size_mib=64) as jaeger,
    ):
        order = Order(
            target=jaeger.grpc, load="mixed", seconds=seconds, requests=int(seconds * 40_000 / 512)
        )
        with Sender(order, machine.BOTH_CORES) as sender:
            wait_until_idle([jaeger.pid])
            before_s = machine.cpu_s(jaeger.pid)
            sent = sender.send()
            wait_until_idle([jaeger.pid])
            return (machine.cpu_s(jaeger.pid) - before_s) / sent.spans * 1e6

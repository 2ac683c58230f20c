"""How fast spans are acknowledged on one core, and how fast the stock Jaeger does in the same run.

Receiver and writer, one process, have a core for themselves; the views are paused, as they would
take their processor time from the sender on the other core. Jaeger has the same core, and answers
after it has stored: in memory, or in Badger, which does not sync.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch, wait_until_idle
from benchmarks.sender import Order, Sender, Sent
from tests.peers import Jaeger
from tests.peers.jaeger import Storage

_CORES = "1 + sender's"
_ROLES = {"ours": "receiver+writer", "memory": "Jaeger, memory", "badger": "Jaeger, Badger"}


def run(quick: bool) -> list[Figure]:
    """Ours and both Jaegers in turn, a few times; medians."""
    seconds, repeats = (2.0, 1) if quick else (5.0, 3)
    figures: list[Figure] = []
    for load in ("mixed", "attempts"):
        runs = [_round(load, seconds) for _ in range(repeats)]
        figures += _figures(load, runs)
    return figures


def _round(load: str, seconds: float) -> dict[str, dict[str, float]]:
    with scratch() as folder:
        return {
            "ours": _ours(folder, load, seconds),
            "memory": _jaeger(folder / "memory", "memory", load, seconds),
            "badger": _jaeger(folder / "badger", "badger", load, seconds),
        }


def _order(target: str, load: str, seconds: float, most_per_s: int) -> Order:
    return Order(
        target=target, load=load, seconds=seconds, requests=int(seconds * most_per_s / 512)
    )


def _ours(folder: Path, load: str, seconds: float) -> dict[str, float]:
    with running(folder) as service:
        service.pin(machine.SERVER_CORE, machine.CLIENT_CORE)
        service.pause_views()
        order = _order(service.service.grpc, load, seconds, 180_000)
        with Sender(order, machine.CLIENT_CORE) as sender:
            before_s, written = service.ingest_cpu_s(), service.ingest_written_bytes()
            first = service.head()
            sent = sender.send()
            cpu_s = service.ingest_cpu_s() - before_s
            written = service.ingest_written_bytes() - written
            stored = service.head() - first
        found = _measured(sent, cpu_s)
        found["written_bytes"] = written / stored
        found["peak_rss_mib"] = machine.peak_rss_bytes(service.pids["receiver"]) / (1 << 20)
        every = service.head()
    found["disk_bytes"] = _log_bytes(folder / "data") / every
    return found


def _log_bytes(data: Path) -> int:
    """The log's file, with what a stopped service has left in its WAL."""
    path = data / "ledger.db"
    with closing(sqlite3.connect(path)) as log:
        log.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _jaeger(folder: Path, storage: Storage, load: str, seconds: float) -> dict[str, float]:
    with (
        machine.on_cores(machine.SERVER_CORE),
        Jaeger(folder, storage=storage, max_recv_msg_size_mib=64) as jaeger,
    ):
        most = 200_000 if storage == "memory" else 40_000
        with Sender(_order(jaeger.grpc, load, seconds, most), machine.CLIENT_CORE) as sender:
            before_s = machine.cpu_s(jaeger.pid)
            sent = sender.send()
            found = _measured(sent, machine.cpu_s(jaeger.pid) - before_s)
        wait_until_idle([jaeger.pid], 60.0)
        found["settled_us"] = (machine.cpu_s(jaeger.pid) - before_s) / sent.spans * 1e6
        found["peak_rss_mib"] = machine.peak_rss_bytes(jaeger.pid) / (1 << 20)
        return found


def _measured(sent: Sent, cpu_s: float) -> dict[str, float]:
    if sent.failed:
        raise RuntimeError(f"{sent.failed} requests failed")
    return {
        "per_s": sent.per_s,
        "cpu_us": cpu_s / sent.spans * 1e6,
        "p50_ms": sent.p50_ms,
        "p99_ms": sent.p99_ms,
    }


def _figures(load: str, runs: list[dict[str, dict[str, float]]]) -> list[Figure]:
    def middle(who: str, what: str) -> float:
        return median(run[who][what] for run in runs)

    def ratio(who: str) -> float:
        return median(run["ours"]["per_s"] / run[who]["per_s"] for run in runs)

    def cpu_ratio(who: str) -> float:
        return median(run[who]["cpu_us"] / run["ours"]["cpu_us"] for run in runs)

    def figure(name: str, value: float, unit: str, who: str = "ours", **more: Any) -> Figure:
        return Figure(
            name=name, value=value, unit=unit, roles=_ROLES[who], cores=_CORES, load=load, **more,
        )  # fmt: skip

    def speed(who: str, floor: float | None = None) -> Figure:
        names = [name for name in runs[0][who] if name not in ("per_s", "written_bytes")]
        details = {name: middle(who, name) for name in names}
        details["by_cpu_per_s"] = 1e6 / details["cpu_us"]
        name = "acked after FULL commit" if who == "ours" else f"{_ROLES[who]}: acked"
        return figure(name, middle(who, "per_s"), "spans/s", who, floor=floor, details=details)

    return [
        speed("ours", 45_000),
        speed("memory"),
        speed("badger"),
        figure("acked, ratio to Jaeger in memory", ratio("memory"), "×", floor=0.75,
               details={"by_cpu": cpu_ratio("memory")}),
        figure("acked, ratio to Jaeger with Badger", ratio("badger"), "×", floor=6.0,
               details={"by_cpu": cpu_ratio("badger")}),
        figure("log on disk", middle("ours", "disk_bytes"), "B/event", floor=220, bound="at most"),
        figure("log written", middle("ours", "written_bytes"), "B/event", floor=480,
               bound="at most"),
    ]  # fmt: skip

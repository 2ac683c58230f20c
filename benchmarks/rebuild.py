"""Rebuilding every projection from the log, as `spanledger projections rebuild --all` does."""

import os
import time

from benchmarks import ledger, machine
from benchmarks.figures import Figure
from benchmarks.running import scratch
from projections.engine.tuning import tune_collector
from service.control.projector import build_projector

_FLOORS_PER_S = {"mixed": 100_000, "attempts": 30_000}


def run(quick: bool) -> list[Figure]:
    """One rebuild a load, in this process and the one that it starts."""
    return [_rebuild(load, 100_000 if quick else 1_000_000) for load in _FLOORS_PER_S]


def _rebuild(load: str, events: int) -> Figure:
    with scratch() as data:
        ledger.grow(data, load, events)
        projector = build_projector(data, 3600.0)
        projector.open()
        tune_collector()
        started_s, started_cpu_s = time.perf_counter(), machine.own_cpu_s()
        for _ in projector.rebuild():
            pass
        took_s = time.perf_counter() - started_s
        cpu_us = (machine.own_cpu_s() - started_cpu_s) / events * 1e6
        views = data / (data / "views.db").readlink()
        size_bytes = views.stat().st_size
        projector.close()
    return Figure(
        name="rebuild of all projections", value=events / took_s, unit="events/s",
        floor=_FLOORS_PER_S[load], roles="projector", cores="2",
        load=f"{load}, {events:,} events",
        details={
            "cpu_us": cpu_us,
            "views_bytes_per_event": size_bytes / events,
            "peak_rss_mib": machine.peak_rss_bytes(os.getpid()) / (1 << 20),
        },
    )  # fmt: skip

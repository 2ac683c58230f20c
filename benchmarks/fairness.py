"""A calm tenant beside one that floods: 512-span requests over 64 connections.

The calm one sends a span every 20 ms; what it waits for is measured alone, and beside the flood,
which is a process of its own, so that its threads are not what the calm one waits for.
"""

import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import load, machine
from benchmarks.figures import Figure
from benchmarks.running import running, scratch
from benchmarks.sender import EXPORT
from tests.otlp import part

_CONNECTIONS: Final = 64
_EVERY_S: Final = 0.02
_FACTOR: Final = 2.0
_MORE_MS: Final = 50.0


_WORKERS: Final = {"receiver+writer": (), "2 receivers, writer": ("--workers", "2")}


def run(quick: bool) -> list[Figure]:
    """The p99 of the calm tenant, and what it may be beside the flood; by one and two receivers."""
    return [
        figure
        for roles, arguments in _WORKERS.items()
        for figure in _beside(4.0 if quick else 15.0, roles, arguments)
    ]


def _beside(seconds: float, roles: str, arguments: tuple[str, ...]) -> list[Figure]:
    with scratch() as folder, running(folder, *arguments) as service:
        cores = machine.SERVER_CORE | (machine.CLIENT_CORE if arguments else frozenset())
        service.pin(cores, machine.CLIENT_CORE)
        service.pause_views()
        alone = _calm(service.service.grpc, seconds, 1)
        with _flood(service.service.grpc) as stop:
            beside = _calm(service.service.grpc, seconds, 2)
            spans = stop()
    bound_ms = _FACTOR * alone[1] + _MORE_MS
    conditions = {"roles": roles, "cores": "2" if arguments else "1 + senders'"}
    return [
        Figure(name="calm tenant alone, p99", value=alone[1], unit="ms",
               load="a span each 20 ms", details={"p50_ms": alone[0]}, **conditions),
        Figure(name="calm tenant beside a flood, p99", value=beside[1], unit="ms",
               floor=bound_ms, bound="at most", load=f"{_CONNECTIONS} × 512 spans",
               details={"p50_ms": beside[0], "flood_spans_per_s": spans / seconds}, **conditions),
    ]  # fmt: skip


def _calm(target: str, seconds: float, seed: int) -> tuple[float, float]:
    """The median and the p99 of its answers in ms."""
    took_ms: list[float] = []
    requests = load.attempts(int(seconds / _EVERY_S), spans=1, seed=1000 + seed)
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        export = channel.unary_unary(EXPORT)
        for body in requests:
            begun_s = time.perf_counter()
            export(body, timeout=30, metadata=(("x-scope-orgid", "calm"),))
            took_ms.append((time.perf_counter() - begun_s) * 1000)
            time.sleep(max(0.0, _EVERY_S - (time.perf_counter() - begun_s)))
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=100)[98]


@contextmanager
def _flood(target: str) -> Iterator[Callable[[], int]]:
    """A process that floods; what is given ends it, and says how many spans were taken."""
    command = [sys.executable, "-m", "benchmarks.fairness", target]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield lambda: int(process.communicate()[0])


class _Flood:
    """Senders that never wait longer than for their answer, each on a connection of its own."""

    def __init__(self, target: str) -> None:
        self._stopped = threading.Event()
        self._spans = 0
        self._resources = [
            ExportTraceServiceRequest.FromString(body).resource_spans[0].SerializeToString()
            for body in load.attempts(_CONNECTIONS, seed=7)
        ]
        self._threads = [
            threading.Thread(target=self._send, args=(target, number), daemon=True)
            for number in range(_CONNECTIONS)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, target: str, number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(target, options=options) as channel:
            export = channel.unary_unary(EXPORT)
            for count in itertools.count():
                if self._stopped.is_set():
                    return
                schema = part(3, b"%d" % count)  # another context: no event is a duplicate
                body = part(1, self._resources[number] + schema)
                try:
                    export(body, timeout=30, metadata=(("x-scope-orgid", "flood"),))
                    self._spans += load.REQUEST_SPANS
                except grpc.RpcError:
                    time.sleep(0.01)

    def stop(self) -> int:
        """End it; how many spans were acknowledged."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(35)
        return self._spans


if __name__ == "__main__":
    flood = _Flood(sys.argv[1])
    print("sending", flush=True)
    sys.stdin.read()
    print(flood.stop())

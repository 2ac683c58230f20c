"""The sending side: a process of its own, pinned, that encodes first and sends when told to.

`Sender` starts one and waits until its requests are encoded; `send` lets it go and returns what
it saw. The process sends whole requests as raw bytes over gRPC, a bounded number in flight, as
fast as they are answered or at a fixed offered rate.
"""

import itertools
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import Final, Self

import grpc
import msgspec

from benchmarks import machine, stamp
from benchmarks.load import REQUEST_SPANS

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_TIMEOUT_S: Final = 60.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. It ends after `seconds` or `requests`, whichever is first.

    `rate` is in spans a second, 0 for as fast as possible.
    """

    target: str
    load: str
    requests: int
    seconds: float
    first_round: int = 0
    rate: float = 0.0
    flight: int = 16
    channels: int = 1
    warm_up: int = 16


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: spans acknowledged in `seconds`, and how long each answer took."""

    spans: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    cpu_us: float
    """The sender's own processor time a span."""

    @property
    def per_s(self) -> float:
        return self.spans / self.seconds


class Sender:
    """A sending process that is ready to send."""

    def __init__(self, order: Order, cores: frozenset[int]) -> None:
        self.order = order
        with machine.on_cores(cores):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.sender", msgspec.json.encode(order).decode()],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the sender ended with {self._process.wait()}")
        return line

    def start(self) -> None:
        """Let it send."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> Sent:
        """Wait until it has sent everything."""
        return msgspec.json.decode(self._line(), type=Sent)

    def send(self) -> Sent:
        """Let it send, and wait for the end."""
        self.start()
        return self.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


class _Run:
    """One order being carried out."""

    def __init__(self, order: Order) -> None:
        self._order = order
        channels = [
            grpc.insecure_channel(order.target, [("grpc.use_local_subchannel_pool", 1)])
            for _ in range(order.channels)
        ]
        self._exports = itertools.cycle(channel.unary_unary(EXPORT) for channel in channels)
        self._room = threading.Semaphore(order.flight)
        self._took_s: list[float] = []
        self._failed = 0
        self._last_s = 0.0

    def send(self, bodies: list[bytes]) -> Sent:
        order = self._order
        size = REQUEST_SPANS if order.load != "single" else 1
        started_cpu_s = time.process_time()
        started_s = time.perf_counter()
        for number, body in enumerate(bodies):
            now_s = time.perf_counter() - started_s
            if order.rate:
                due_s = number * size / order.rate
                if due_s > now_s:
                    time.sleep(due_s - now_s)
            if now_s >= order.seconds:
                break
            self._room.acquire()
            self._export(body)
        for _ in range(order.flight):
            self._room.acquire()
        took = sorted(self._took_s)
        spans = len(took) * size
        return Sent(
            spans=spans,
            seconds=self._last_s - started_s,
            failed=self._failed,
            p50_ms=took[len(took) // 2] * 1e3,
            p99_ms=took[int(len(took) * 0.99)] * 1e3,
            longest_ms=took[-1] * 1e3,
            cpu_us=(time.process_time() - started_cpu_s) / spans * 1e6,
        )

    def _export(self, body: bytes) -> None:
        began_s = time.perf_counter()

        def answered(call: grpc.Future) -> None:
            self._last_s = time.perf_counter()
            if call.exception() is None:
                self._took_s.append(self._last_s - began_s)
            else:
                self._failed += 1
            self._room.release()

        next(self._exports).future(body, timeout=_TIMEOUT_S).add_done_callback(answered)


def main() -> None:
    order = msgspec.json.decode(sys.argv[1], type=Order)
    encoded = stamp.requests(order.load, order.first_round)
    warm_up = list(itertools.islice(encoded, order.warm_up))
    bodies = list(itertools.islice(encoded, order.requests))
    if warm_up:
        _Run(order).send(warm_up)
    print("ready", flush=True)
    sys.stdin.readline()
    print(msgspec.json.encode(_Run(order).send(bodies)).decode(), flush=True)


if __name__ == "__main__":
    main()

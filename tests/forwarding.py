"""A forwarder with one target, running in a thread of the test."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from events.log.memory import MemoryLog
from service.configuration.settings import ForwardTarget
from service.forward.backoff import Backoff
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve
from tests.events import make_batch, make_span
from tests.peers.sink import BAD, Received, Reply, Sink


class Running:
    """A forwarder with one target, and the operations on it."""

    def __init__(
        self, data: Path, log: MemoryLog, sink: Sink, transport: str = "grpc", **setting: Any
    ) -> None:
        url = f"otlp+{transport}://{getattr(sink, transport.removesuffix('s'))}"
        values = {"start": "beginning", "name": "sink"} | setting
        self.forwarder = Forwarder(
            data, [resolve(ForwardTarget(url, **values))], lambda: log, limit_bytes=20_000,
            backoff=lambda: Backoff(0.02, 0.1),
        )  # fmt: skip
        self.operations = Operations(
            self.forwarder.store, lambda: log, conditions=self.forwarder.conditions,
            wake=self.forwarder.wake,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        return self.operations.status()[0]

    def settled(self) -> bool:
        status = self.status()
        return status["lag_events"] == 0 and status["state"] == "idle"


@contextlib.contextmanager
def running(*args: Any, **kwargs: Any) -> Iterator[Running]:
    forward, stop = Running(*args, **kwargs), threading.Event()
    thread = threading.Thread(target=forward.forwarder.run, args=(stop,))
    thread.start()
    try:
        yield forward
    finally:
        stop.set()
        thread.join()


def store(log: MemoryLog, *names: str, tenant: str = "default") -> int:
    spans = [make_span(name=name) for name in names]
    return log.append(make_batch(spans, tenant=tenant)).through


def numbered(count: int) -> list[str]:
    return [f"span-{number}" for number in range(count)]


def refusing(*bad: str, reply: Reply = BAD) -> Callable[[Received], Reply]:
    return lambda request: reply if set(bad) & set(request.names()) else Reply()

"""What 200 open live pages cost the API's process while 500 attempts a second arrive.

The pages are connections that read the stream as browsers do; attempts come in requests of 50.
Processor time of the role `api` is taken with the pages open, and with none, in turns.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import grpc

from benchmarks import load
from benchmarks.figures import Figure
from benchmarks.running import Running, running, scratch
from benchmarks.sender import EXPORT

PAGES: Final = 200
RATE: Final = 500
_SPANS: Final = 50
_FLOOR: Final = 0.2
_WARM_S: Final = 3.0


def run(quick: bool) -> list[Figure]:
    """The share of a core that the pages take, and what the API takes without them."""
    seconds = 6.0 if quick else 20.0
    with scratch() as folder, running(folder) as service, _arriving(service.service.grpc):
        time.sleep(_WARM_S)
        alone = _share(service, seconds)
        with _open_pages(service.service.api) as pages:
            time.sleep(_WARM_S)
            with_pages = _share(service, seconds)
            received = pages.received_bytes()
    details = {"api_alone": alone, "kB_per_page": received / PAGES / 1000}
    return [
        Figure(
            name=f"{PAGES} live pages", value=with_pages - alone, unit="cores", roles="api",
            cores="2", load=f"{RATE} attempts/s", floor=_FLOOR, bound="at most", details=details,
        )
    ]  # fmt: skip


def _share(service: Running, seconds: float) -> float:
    """Processor time of the API's role, in cores."""
    before_s, begun_s = service.cpu_s()["api"], time.monotonic()
    time.sleep(seconds)
    return (service.cpu_s()["api"] - before_s) / (time.monotonic() - begun_s)


@contextmanager
def _arriving(target: str) -> Iterator[None]:
    """Attempts that arrive at the rate until the end of the block."""
    stop = threading.Event()

    def send() -> None:
        with grpc.insecure_channel(target) as channel:
            export = channel.unary_unary(EXPORT)
            due_s = time.monotonic()
            for body in load.attempts(100_000, spans=_SPANS, seed=11):
                export(body, timeout=60)
                due_s += _SPANS / RATE
                if stop.wait(max(0.0, due_s - time.monotonic())):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class _Pages:
    """Connections that read the stream; one thread reads all of them."""

    def __init__(self, api: str) -> None:
        host, port = api.rsplit(":", 1)
        request = f"GET /live/stream HTTP/1.1\r\nHost: {api}\r\nAccept: text/event-stream\r\n\r\n"
        self._open = ExitStack()
        self._sockets = []
        for _ in range(PAGES):
            page = self._open.enter_context(socket.create_connection((host, int(port)), 30))
            page.sendall(request.encode())
            page.setblocking(False)
            self._sockets.append(page)
        self._received = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def received_bytes(self) -> int:
        """Of all pages so far."""
        return self._received

    def close(self) -> None:
        """Let go of all connections."""
        self._stop.set()
        self._thread.join()
        self._open.close()

    def _read(self) -> None:
        while not self._stop.wait(0.1):
            for page in self._sockets:
                try:
                    self._received += len(page.recv(1 << 20))
                except BlockingIOError:
                    continue


@contextmanager
def _open_pages(api: str) -> Iterator[_Pages]:
    pages = _Pages(api)
    try:
        yield pages
    finally:
        pages.close()

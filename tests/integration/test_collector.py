"""A stock Collector with our `otel-collector.yaml` in front: nothing it took is lost."""

import contextlib
import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from events.log.reader import open_reader
from events.schema import Span
from service.access.tokens import TokenStore
from tests.otlp import make_span, traces
from tests.peers import Collector
from tests.peers.sink import Sink
from tests.ports import free_port
from tests.serving import Service, start

pytestmark = pytest.mark.peers

CONFIG = Path(__file__).parents[2] / "otel-collector.yaml"


class Front:
    """The Collector, and how to send to it."""

    def __init__(self, folder: Path, endpoint: str, token: str = "none") -> None:
        grpc, http, health = (free_port() for _ in range(3))
        self.http = f"127.0.0.1:{http}"
        self.collector = Collector(folder, CONFIG.read_text(), [grpc, http, health])
        self.environment = {
            "COLLECTOR_GRPC": f"127.0.0.1:{grpc}",
            "COLLECTOR_HTTP": self.http,
            "COLLECTOR_HEALTH": f"127.0.0.1:{health}",
            "COLLECTOR_STATE": str(folder / "state"),
            "SPANLEDGER_ENDPOINT": endpoint,
            "SPANLEDGER_TOKEN": token,
        }

    def start(self) -> Collector:
        return self.collector.start(**self.environment)

    def send(self, *names: str) -> None:
        """Send one request; it was acknowledged when this returns."""
        spans = [
            make_span(name=name, trace_id=name.encode().rjust(16, b"."), attributes={"n": number})
            for number, name in enumerate(names)
        ]
        request = urllib.request.Request(
            f"http://{self.http}/v1/traces",
            traces(*spans).SerializeToString(),
            {"content-type": "application/x-protobuf"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


def stored(data: Path) -> Counter[str]:
    """How often each span name stands in the log."""
    found: Counter[str] = Counter()
    after = 0
    with closing(open_reader(data)) as reader:
        while (page := reader.read(0, after)).count:
            for held in page.recorded():
                assert isinstance(held.event, Span)
                found[held.event.name] += 1
            after = page.through
    return found


def kill_all(service: Service) -> None:
    """Kill every process of a service at once, as a power cut of its machine would."""
    pids = [service.pid, *service.children().values()]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    service.kill()


def test_the_stock_collector_accepts_the_file(tmp_path: Path) -> None:
    """The Collector's own check finds nothing wrong with the file as it is."""
    Collector.validate(CONFIG, COLLECTOR_STATE=str(tmp_path))


def test_a_killed_collector_keeps_what_it_took(tmp_path: Path) -> None:
    """What was acknowledged while the target was away arrives after the Collector was killed."""
    sink = Sink()  # it has its ports now, and nothing listens there
    front = Front(tmp_path / "collector", sink.grpc, token="secret")
    names = [f"span-{number}" for number in range(50)]
    with front.start() as collector:
        for name in names:
            front.send(name)
        collector.kill()
        with sink:
            front.start()
            until(lambda: set(names) <= set(sink.names()))
            assert {request.headers["authorization"] for request in sink.taken} == {"Bearer secret"}


@pytest.mark.slow
def test_a_killed_service_loses_nothing(tmp_path: Path) -> None:
    """Spans sent before, while and after the service is killed are all stored, once each."""
    data, port = tmp_path / "data", str(free_port())
    data.mkdir()
    token = TokenStore(data / "tokens.json").add("collector", "ingest")
    front = Front(tmp_path / "collector", f"127.0.0.1:{port}", token)
    sent: list[str] = []
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            names = [f"span-{len(sent) + number}" for number in range(20)]
            front.send(*names)
            sent.extend(names)
            time.sleep(0.01)

    with front.start():
        service = start(data, "--grpc-port", port).wait_ready()
        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(2):
                until(lambda: len(stored(data)) >= len(sent) / 2 > 0)
                kill_all(service)
                time.sleep(1.0)
                service = start(data, "--grpc-port", port).wait_ready()
        finally:
            stop.set()
            sender.join()
        until(lambda: len(stored(data)) == len(sent))
        service.terminate()
    assert stored(data) == Counter(sent)

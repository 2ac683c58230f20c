"""kill -9 of every process, and of all of them, at random moments while senders are busy.

Afterwards every acknowledged span is in the log once, the chain is whole, the views equal a
clean fold of the log, and the forward target has every span at least once.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import alive, wait_gone
from tests.invariants import check_log, check_views, wait_views
from tests.peers.sink import Sink
from tests.ports import free_port
from tests.resending import Resender
from tests.serving import Service, start

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 12
KILLS = 4
"""Of single processes in each round; a round ends with the supervisor, or with everything."""

ORPHANS_GONE_S = 30.0  # they go at once; a loaded machine only comes to it late
CATCH_UP_S = 60.0


class Load:
    """Senders over every transport, to a service that comes and goes."""

    def __init__(self) -> None:
        self.service: Service | None = None
        self.senders = [
            Resender("g", "grpc", lambda: self.service.grpc if self.service else "127.0.0.1:9"),
            Resender("h", "http", lambda: self.service.http if self.service else "127.0.0.1:9"),
            Resender("j", "json", lambda: self.service.http if self.service else "127.0.0.1:9"),
        ]
        for sender in self.senders:
            sender.start()

    def finish(self) -> tuple[set[str], set[str]]:
        """The names of all acknowledged and of all sent spans."""
        for sender in self.senders:
            sender.finish()
        acknowledged = set[str]().union(*(sender.acknowledged for sender in self.senders))
        return acknowledged, set[str]().union(*(sender.sent for sender in self.senders))


@contextlib.contextmanager
def running(data: Path, *args: str) -> Iterator[Service]:
    """A ready service; whatever is left of it at the end is killed."""
    service = start(data, *args)
    try:
        yield service.wait_ready()
    finally:
        service.kill()


def kill_one(service: Service, chance: random.Random, counted: dict[str, int]) -> None:
    """Kill a random child that lives."""
    children = service.children()
    if children:
        instance = chance.choice(sorted(children))
        with contextlib.suppress(ProcessLookupError):
            os.kill(children[instance], signal.SIGKILL)
            counted[instance] = counted.get(instance, 0) + 1


def kill_supervisor(service: Service) -> None:
    """Its children are gone soon after."""
    children = list(service.children().values())
    service.kill()
    left = wait_gone(children, ORPHANS_GONE_S)
    assert not left, service.said()[-3000:]


def kill_everything(service: Service) -> None:
    """Supervisor and children, as near to one moment as signals are."""
    children = list(service.children().values())
    for pid in [service.pid, *children]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    service.kill()
    assert not wait_gone(children, ORPHANS_GONE_S)


def until(condition: Callable[[], bool], within_s: float) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.1)


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    """At least 50 kills: single processes, supervisors alone, and all at once."""
    chance = random.Random(20)
    data = tmp_path / "data"
    counted: dict[str, int] = {}
    with Sink() as sink:
        target = ["--forward", f"otlp+grpc://{sink.grpc}?name=sink"]
        load = Load()
        for number in range(ROUNDS):
            workers = ["--workers", "2"] if number % 2 else []
            with running(data, *target, *workers) as service:
                load.service = service
                for _ in range(KILLS):
                    time.sleep(0.1 + chance.random())
                    kill_one(service, chance, counted)
                time.sleep(chance.random())
                end = kill_everything if number % 3 == 2 else kill_supervisor
                end(service)
                counted[end.__name__] = counted.get(end.__name__, 0) + 1
        with running(data, *target) as service:
            load.service = service
            acknowledged, sent = load.finish()
            wait_views(service)
            until(lambda: acknowledged <= set(sink.names()), CATCH_UP_S)
            assert service.terminate() == 0
    assert sum(counted.values()) >= 50, counted
    assert acknowledged
    check_log(data, acknowledged, sent)
    check_views(data, tmp_path / "clean")
    print(f"{counted}, {len(acknowledged)} spans, {len(sink.names())} forwarded")


def test_supervisor_alone(tmp_path: Path) -> None:
    """Killed, it takes its children along, and a new start on the same ports works at once."""
    data = tmp_path / "data"
    grpc_port, http_port, api_port = (str(free_port()) for _ in range(3))
    ports = ["--grpc-port", grpc_port, "--http-port", http_port, "--api-port", api_port]
    load = Load()
    for _ in range(3):
        with running(data, *ports) as service:
            load.service = service
            time.sleep(0.5)
            children = list(service.children().values())
            service.kill()
            with running(data, *ports) as successor:
                load.service = successor
                assert not [pid for pid in children if alive(pid)]
    with running(data, *ports) as service:
        load.service = service
        acknowledged, sent = load.finish()
        wait_views(service)
        assert service.terminate() == 0
    assert acknowledged
    check_log(data, acknowledged, sent)
    check_views(data, tmp_path / "clean")

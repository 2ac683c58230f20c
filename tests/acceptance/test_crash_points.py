"""A service that dies at exactly the worst moments, again and again, and then is well again.

Whatever process reaches the named point is killed there, at every try. The service is then
started without the point: nothing acknowledged is lost, nothing is doubled, and the views equal
a clean fold.
"""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from events.errors import SpanledgerError
from service.control.socket import call
from tests.invariants import check_log, check_views, wait_views
from tests.peers.sink import Sink
from tests.resending import Resender
from tests.serving import Service, serving, start

pytestmark = pytest.mark.slow

WITHIN_S = 30.0


def deaths(service: Service, role: str) -> int:
    """How often a child of this role was started again."""
    with contextlib.suppress(SpanledgerError):
        status: list[dict[str, Any]] = call(service.data, "supervisor", "status")
        return sum(c["restarts"] for c in status if c["instance"].startswith(role))
    return 0


def wait_deaths(service: Service, role: str, count: int) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while deaths(service, role) < count:
        assert time.monotonic() < deadline_s, service.said()[-3000:]
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("point", "role", "args"),
    [
        ("commit.before", "receiver", []),
        ("commit.before", "writer", ["--workers", "2"]),
        ("commit.after_before_ack", "receiver", []),
        ("commit.after_before_ack", "writer", ["--workers", "2"]),
        ("view.before_checkpoint", "projector", []),
        ("view.before_commit", "projector", []),
        ("activate.middle", "projector", []),
    ],
)
def test_dying_there_loses_and_doubles_nothing(
    point: str, role: str, args: list[str], tmp_path: Path
) -> None:
    """The same invariants as after kills at random moments."""
    with Sink() as sink:
        target = [*args, "--forward", f"otlp+grpc://{sink.grpc}?name=sink"]
        with serving(tmp_path, *target) as service:
            sender = Resender("before", "grpc", lambda: service.grpc, pause_s=0.01)
            sender.start()
            time.sleep(1.0)
            sender.finish()
        dying = start(tmp_path / "data", *target, env={"SPANLEDGER_CRASH_AT": point})
        current = dying
        with contextlib.ExitStack() as held:
            held.callback(dying.kill)
            dying.wait_ready()
            senders = [
                Resender("g", "grpc", lambda: current.grpc),
                Resender("h", "http", lambda: current.http),
            ]
            for one in senders:
                one.start()
            if point == "activate.middle":
                with pytest.raises(SpanledgerError):
                    call(dying.data, "projector", "rebuild", timeout_s=WITHIN_S)
            wait_deaths(dying, role, 2)
        with serving(tmp_path, *target) as restarted:
            current = restarted
            time.sleep(0.5)
            for one in senders:
                one.finish()
            wait_views(current)
            _await_forwarded(sink, senders)
        every = [sender, *senders]
        acknowledged = set[str]().union(*(one.acknowledged for one in every))
        check_log(tmp_path / "data", acknowledged, set[str]().union(*(one.sent for one in every)))
        check_views(tmp_path / "data", tmp_path / "clean")
        assert all(one.acknowledged for one in every)


def _await_forwarded(sink: Sink, senders: list[Resender]) -> None:
    wanted = set[str]().union(*(one.acknowledged for one in senders))
    deadline_s = time.monotonic() + WITHIN_S
    while not wanted <= set(sink.names()):
        assert time.monotonic() < deadline_s, "not everything was forwarded"
        time.sleep(0.1)

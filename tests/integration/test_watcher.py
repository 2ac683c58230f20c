"""The watcher: abandoned attempts, said once, never from a lagging view."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events import names
from events.log.door import GroupDoor
from events.log.port import Door
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.runs import words
from projections.storage.generation import connect_reader
from service.reactors.watcher import Watcher
from tests.events import make_batch, make_log, make_span, trace_id

SECOND_NS = 1_000_000_000
INTERVAL_S = 10.0


class _Service:
    """Log, projector and watcher on one clock that the test moves."""

    def __init__(self, data: Path) -> None:
        self.now_ns = 1_790_000_000 * SECOND_NS
        self.data = data
        self.door = GroupDoor(data, clock=self.clock)
        self.projector = Projector(data, lambda: open_reader(data), make_folds, clock=self.clock)
        self.watcher = self.make_watcher()
        self.settle()

    def clock(self) -> int:
        return self.now_ns

    def make_watcher(self) -> Watcher:
        return Watcher(
            self.data,
            lambda: open_reader(self.data),
            self.open_door,
            heartbeat_interval_s=INTERVAL_S,
            clock=self.clock,
        )

    def open_door(self) -> Door:
        return _Borrowed(self.door)

    def send(self, event_name: str, number: int, sender_ns: int) -> None:
        record = make_log(
            event_name=event_name,
            task="job",
            run=f"run-{number}",
            attempt=1,
            trace_id=trace_id(number),
            span_id=number.to_bytes(8, "big"),
            time_ns=sender_ns,
        )
        self.door.append(make_batch([record], received_ns=self.now_ns))
        self.settle()

    def settle(self) -> None:
        while self.projector.step():
            pass

    def look_after(self, seconds: float) -> int:
        self.now_ns += int(seconds * SECOND_NS)
        said = self.watcher.look()
        self.settle()
        return said

    def statuses(self) -> list[str]:
        with closing(connect_reader(self.data / "views.db")) as views:
            rows = views.execute("SELECT status FROM attempt ORDER BY attempt_key").fetchall()
        return [words.STATUS_WORDS[row[0]] for row in rows]

    def close(self) -> None:
        self.projector.close()
        self.door.close()


class _Borrowed:
    """The service's door, which its user may close without harm."""

    def __init__(self, door: GroupDoor) -> None:
        self.identity_key, self.log_id = door.identity_key, door.log_id
        self.append, self.append_async = door.append, door.append_async

    def close(self) -> None:
        """Leave the door open."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[_Service]:
    service = _Service(tmp_path)
    yield service
    service.close()


def test_silence_for_three_intervals_is_abandonment(service: _Service) -> None:
    """Not before, whatever the sender's clock says; and it is said once."""
    wrong_clock_ns = 1_500_000_000 * SECOND_NS
    service.send(names.ATTEMPT_STARTED, 1, wrong_clock_ns)
    service.send(names.ATTEMPT_HEARTBEAT, 1, wrong_clock_ns + SECOND_NS)
    assert service.look_after(0) == 0
    assert service.look_after(29) == 0
    assert service.statuses() == ["running"]
    assert service.look_after(2) == 1
    assert service.statuses() == ["abandoned"]
    head = service.door.head
    assert service.look_after(60) == 0
    assert service.door.head == head


def test_an_attempt_that_never_beat_is_left_alone(service: _Service) -> None:
    """A start record alone promises no heartbeats."""
    service.send(names.ATTEMPT_STARTED, 1, service.now_ns)
    service.look_after(0)
    assert service.look_after(1000) == 0
    assert service.statuses() == ["running"]


def test_heartbeats_keep_it_running(service: _Service) -> None:
    """Every heartbeat, and any other sign of life, starts the count anew."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.look_after(0)
    for name in (names.ATTEMPT_HEARTBEAT, names.ATTEMPT_PROGRESS, names.ATTEMPT_HEARTBEAT):
        assert service.look_after(25) == 0
        service.send(name, 1, service.now_ns)
        assert service.look_after(1) == 0
    assert service.look_after(20) == 0
    assert service.statuses() == ["running"]
    assert service.look_after(11) == 1


def test_readiness_starts_the_count(service: _Service) -> None:
    """A watcher that starts late first gives everybody three intervals to speak."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.now_ns += 3600 * SECOND_NS
    assert service.look_after(0) == 0
    assert service.look_after(29) == 0
    assert service.look_after(2) == 1


def test_nothing_is_said_while_the_views_lag(service: _Service) -> None:
    """Heartbeats may be among the events not applied yet; afterwards the count starts anew."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.look_after(0)
    service.now_ns += 29 * SECOND_NS
    service.door.append(make_batch([make_span()], received_ns=service.now_ns))
    assert service.look_after(2) == 0
    assert service.look_after(2) == 0
    assert service.look_after(31) == 1


def test_a_second_watcher_adds_nothing(service: _Service) -> None:
    """The event's id comes from the attempt and its last heartbeat: a duplicate to the log."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    other = service.make_watcher()
    service.look_after(0)
    other.look()
    service.now_ns += 31 * SECOND_NS
    assert service.watcher.look() == 1
    head = service.door.head
    assert other.look() in (0, 1)
    assert service.door.head == head


def test_a_late_end_corrects_it(service: _Service) -> None:
    """The span that arrives after all says how the attempt ended."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.look_after(0)
    assert service.look_after(31) == 1
    late = make_span(
        task="job", run="run-1", attempt=1, trace_id=trace_id(1), span_id=(1).to_bytes(8, "big")
    )
    service.door.append(make_batch([late], received_ns=service.now_ns))
    service.settle()
    assert service.statuses() == ["completed"]


def test_others_go_on(service: _Service) -> None:
    """Only the silent attempt of two is declared abandoned."""
    for number in (1, 2):
        service.send(names.ATTEMPT_HEARTBEAT, number, service.now_ns)
    service.look_after(0)
    service.now_ns += 20 * SECOND_NS
    service.send(names.ATTEMPT_HEARTBEAT, 2, service.now_ns)
    service.look_after(0)
    assert service.look_after(11) == 1
    assert service.statuses() == ["abandoned", "running"]

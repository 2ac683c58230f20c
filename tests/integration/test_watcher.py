"""The watcher: abandoned attempts, said once, never from a lagging view."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events import names
from events.identity import Identity
from events.log.door import GroupDoor
from events.log.port import Door
from events.log.reader import open_reader
from events.log.repeats import MOST, Repeats
from events.log.sqlite import load_queries
from events.schema import AttemptAbandoned, Event, Fact
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.runs import words
from projections.storage.generation import connect_reader
from service.append.appender import Appender
from service.configuration.settings import Settings
from service.otlp.batch import BatchBuilder
from service.otlp.decode.decoder import decode_logs
from service.otlp.decode.limits import Limits
from service.reactors import watcher as watching
from service.reactors.watcher import Watcher
from tests.events import make_batch, make_log, make_span, trace_id
from tests.otlp import logs
from tests.otlp import make_log as record

SECOND_NS = 1_000_000_000
INTERVAL_S = 10.0


class _Service:
    """Log, projector and watcher on one clock that the test moves."""

    def __init__(self, data: Path) -> None:
        self.now_ns = 1_790_000_000 * SECOND_NS
        self.set_by_ns = 0  # what somebody has set this machine's clock by
        self.data = data
        self.door = GroupDoor(data, clock=self.clock, steady=self.steady)
        self.projector = Projector(data, lambda: open_reader(data), make_folds, clock=self.clock)
        self.watcher = self.make_watcher()
        self.settle()

    def clock(self) -> int:
        return self.now_ns + self.set_by_ns

    def steady(self) -> int:
        return self.now_ns

    def make_watcher(self) -> Watcher:
        return Watcher(
            self.data,
            lambda: open_reader(self.data),
            Appender(Settings(data=self.data), self.open_door, clock=self.clock),
            heartbeat_interval_s=INTERVAL_S,
            heard_again=self.door.heard_again,
            clock=self.clock,
            steady=self.steady,
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
        self.append(record)

    def append(self, *events: Event) -> None:
        self.door.append(make_batch(events, received_ns=self.now_ns))
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


MINUTES_NS = 60 * SECOND_NS
CLOCKS = {
    "right": lambda second: 0,
    "slow all along": lambda second: -10 * MINUTES_NS,
    "ahead all along": lambda second: 10 * MINUTES_NS,
    "set back": lambda second: -10 * MINUTES_NS if second > 30 else 0,
    "set ahead": lambda second: 10 * MINUTES_NS if second > 30 else 0,
    "jumping": lambda second: (second * 7919 % 13 - 6) * MINUTES_NS,
    "at a tenth of the speed": lambda second: -second * SECOND_NS * 9 // 10,
}


@pytest.mark.parametrize("name", CLOCKS)
def test_no_clock_of_a_sender_counts(service: _Service, name: str) -> None:
    """An attempt that beats runs on, and one that falls silent is lost after three intervals."""
    offset = CLOCKS[name]
    service.send(names.ATTEMPT_STARTED, 1, service.now_ns + offset(0))
    for second in range(0, 120, 5):
        service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns + offset(second))
        assert service.look_after(5) == 0
        assert service.statuses() == ["running"]
    assert service.look_after(25) == 0
    assert service.look_after(6) == 1
    assert service.statuses() == ["abandoned"]


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_no_clock_of_this_machine_counts(service: _Service, jump_s: int) -> None:
    """Nor does it matter that somebody sets the clock by which commits are dated."""
    for second in range(0, 120, 5):
        if second == 60:
            service.set_by_ns = jump_s * SECOND_NS
        service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
        assert service.look_after(5) == 0
    assert service.look_after(31) == 1


def test_a_sign_with_an_old_time_revives_it(service: _Service) -> None:
    """What is heard after all counts, however old its sender says it is; then it may fall silent
    again, and a rebuild comes to the same."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.look_after(0)
    assert service.look_after(31) == 1
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns - 10 * MINUTES_NS)
    assert service.statuses() == ["running"]
    assert service.look_after(1) == 0
    assert service.look_after(31) == 1
    assert service.statuses() == ["abandoned"]
    list(service.projector.rebuild())
    service.settle()
    assert service.statuses() == ["abandoned"]


def _numbered(service: _Service, event_name: str, number: int) -> None:
    service.append(
        make_log(
            event_name=event_name, task="job", run="r", attempt=number, trace_id=b"", span_id=b"",
            time_ns=service.now_ns,
        )
    )  # fmt: skip


def test_attempts_known_by_number_only_are_told_apart(service: _Service) -> None:
    """The first falls silent while the second beats; the end of the second is its own."""
    started_ns = service.now_ns
    _numbered(service, names.ATTEMPT_HEARTBEAT, 1)
    service.look_after(0)
    for _ in range(8):
        _numbered(service, names.ATTEMPT_HEARTBEAT, 2)
        service.look_after(5)
    assert service.statuses() == ["abandoned", "running"]
    _numbered(service, names.ATTEMPT_ENDED, 2)
    assert service.statuses() == ["abandoned", "unknown"]
    with closing(connect_reader(service.data / "views.db")) as views:
        assert views.execute("SELECT min(ended_ns) FROM attempt").fetchone() == (started_ns,)
    (fact,) = _facts(service)
    assert (fact.subject["attempt"], fact.actor) == (1, "watcher")


def test_what_an_older_release_said_of_a_number_is_of_that_number(service: _Service) -> None:
    """It named only the attempt's id; the other attempt without a span is untouched."""
    for number in (1, 2):
        _numbered(service, names.ATTEMPT_HEARTBEAT, number)
    lost_id = words.attempt_id("default", "job", "r", 2)
    at_ns = service.now_ns
    service.append(AttemptAbandoned(lost_id, "job", "r", b"", b"", at_ns, at_ns, b""))
    assert service.statuses() == ["running", "abandoned"]


def _facts(service: _Service) -> list[Fact]:
    with closing(open_reader(service.data)) as reader:
        events = [recorded.event for recorded in reader.read(0, 0).recorded()]
    return [event for event in events if isinstance(event, Fact)]


def test_many_fall_silent_at_once(service: _Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are declared by so many a look, each once, in one commit a look."""
    monkeypatch.setattr(watching, "MOST_AT_ONCE", 4)
    for number in range(1, 11):
        service.send(names.ATTEMPT_HEARTBEAT, number, service.now_ns)
    service.look_after(0)
    assert [service.look_after(s) for s in (31, 1, 1, 1)] == [4, 4, 2, 0]
    assert len(_facts(service)) == 10
    assert service.statuses() == ["abandoned"] * 10


def test_a_look_costs_what_is_silent_not_what_runs(service: _Service) -> None:
    """With 100,000 running attempts of which none is silent, a look reads no row of them."""
    service.send(names.ATTEMPT_HEARTBEAT, 1, service.now_ns)
    service.projector.close()
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect((service.data / "views.db").resolve())) as views:
        columns = [row[1] for row in views.execute("PRAGMA table_info(attempt)")]
        replaced = {"attempt_key": "attempt_key + n.value * 1048576", "heard": "1000 + n.value"}
        views.execute(
            f"INSERT INTO attempt SELECT {', '.join(replaced.get(c, c) for c in columns)} "
            "FROM attempt, (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n "
            "WHERE value < 100000) SELECT value FROM n) AS n"
        )
        views.set_progress_handler(count, 100)
        silent = load_queries("service.reactors", "watcher.sql")["silent"]
        assert len(views.execute(silent, {"after": 0, "heard": 999, "limit": 1000}).fetchall()) == 1
    assert steps <= 3


def _beat(service: _Service, sender_ns: int = 0) -> None:
    """The same heartbeat each time, as a receiver takes it: without a time, or of a clock that
    stands."""
    beat = record(
        event_name=names.ATTEMPT_HEARTBEAT, time_unix_nano=sender_ns, trace_id=trace_id(1),
        span_id=b"12345678", attributes={"task.id": "job", "task.run.id": "r", "task.attempt": 1},
    )  # fmt: skip
    decoded = decode_logs(logs(beat).SerializeToString(), Limits())
    batch = BatchBuilder(Identity(service.door.identity_key), None).build(
        [("default", service.now_ns, decoded)]
    )
    assert batch is not None
    service.door.append(batch)
    service.settle()


@pytest.mark.parametrize("sender_ns", [0, 1_500_000_000 * SECOND_NS])
def test_a_heartbeat_that_is_a_duplicate_is_a_sign_of_life(
    service: _Service, sender_ns: int
) -> None:
    """It is stored once, however often it comes; the attempt lives as long as it comes."""
    for _ in range(20):
        _beat(service, sender_ns)
        assert service.look_after(10) == 0
    assert (service.door.head, service.statuses()) == (1, ["running"])
    assert service.look_after(19) == 0
    assert service.look_after(2) == 1
    assert service.statuses() == ["abandoned"]


def test_others_are_looked_at_beyond_those_that_beat_so(
    service: _Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them there are."""
    monkeypatch.setattr(watching, "MOST_AT_ONCE", 1)
    _beat(service)
    service.send(names.ATTEMPT_HEARTBEAT, 2, service.now_ns)
    service.look_after(0)
    service.now_ns += 20 * SECOND_NS
    _beat(service)
    assert service.look_after(11) == 1
    assert service.statuses() == ["running", "abandoned"]


def test_a_writer_that_started_lately_has_heard_nothing_yet(service: _Service) -> None:
    """What came again before it started is not known, so nobody is taken for silent."""
    _beat(service)
    service.look_after(0)
    service.now_ns += 29 * SECOND_NS
    repeats = Repeats(service.steady)
    service.watcher = Watcher(
        service.data, lambda: open_reader(service.data),
        Appender(Settings(data=service.data), service.open_door, clock=service.clock),
        heartbeat_interval_s=INTERVAL_S, heard_again=repeats.heard_again,
        clock=service.clock, steady=service.steady,
    )  # fmt: skip
    service.look_after(0)
    repeats._since_ns += 20 * SECOND_NS
    assert service.look_after(31) == 0
    assert service.look_after(20) == 1


def test_only_the_latest_repeats_are_known() -> None:
    """Their memory is bounded."""
    repeats = Repeats(lambda: 0)
    repeats.note(n.to_bytes(16, "big") for n in range(MOST + 1))
    asked = [n.to_bytes(16, "big") for n in (0, 1, MOST)]
    assert repeats.heard_again(asked, 0) == set()
    clock = iter([0, 5, 7, 7, 100])
    repeats = Repeats(lambda: next(clock))
    repeats.note(n.to_bytes(16, "big") for n in range(MOST + 1))
    assert repeats.heard_again(asked, 7) == set(asked[1:])

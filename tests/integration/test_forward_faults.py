"""Forwarding when the target, the disk or the log fails for a while: nothing is given up."""

import resource
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from events.errors import LogDamaged, Unavailable
from events.log.memory import MemoryLog
from events.log.reader import open_reader
from events.log.writer import LogWriter
from service.configuration.settings import ForwardTarget
from service.forward.cursor import FILE
from service.forward.forwarder import Forwarder
from service.forward.sender import FAILED_IN_A_ROW, FAILED_TRIES
from service.forward.target import resolve
from tests.forwarding import numbered, refusing, running, store
from tests.peers.sink import FAILED, Reply, Sink
from tests.serving import until

TRANSPORTS = ["grpc", "http"]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_target_that_fails_on_everything_is_waited_for(
    tmp_path: Path, log: MemoryLog, transport: str
) -> None:
    """An outage told as an internal error parks nothing, and is not met with a flood."""
    store(log, *numbered(200))
    with Sink(lambda _: FAILED) as sink, running(tmp_path, log, sink, transport) as forward:
        until(lambda: "whatever is sent" in forward.status()["error"])
        assert len(sink.requests) <= FAILED_TRIES + FAILED_IN_A_ROW
        assert forward.status()["parked"] == 0
        sink.answer = lambda _: Reply()
        until(forward.settled)
        assert sink.names() == numbered(200)
        assert forward.status()["parked"] == 0


def test_an_outage_amid_a_window_parks_nothing(tmp_path: Path, log: MemoryLog) -> None:
    """What was taken before is sent again with the rest, not the rest given up."""
    store(log, *numbered(20))
    taken: list[str] = []

    def answer(request: object) -> Reply:
        names = request.names()  # type: ignore[attr-defined]
        if len(names) > 5 or taken:
            return FAILED
        taken.extend(names)
        return Reply()

    with Sink(answer) as sink, running(tmp_path, log, sink) as forward:
        until(lambda: "whatever is sent" in forward.status()["error"])
        assert taken
        sink.answer = lambda _: Reply()
        until(forward.settled)
        assert set(sink.names()) == set(numbered(20))
        assert forward.status()["parked"] == 0


def test_an_event_at_fault_is_parked_once_others_are_taken(tmp_path: Path, log: MemoryLog) -> None:
    """Alone, it may be the target's fault; with others that are taken, it is the event's."""
    store(log, "bad")
    with Sink(refusing("bad", reply=FAILED)) as sink, running(tmp_path, log, sink) as forward:
        until(lambda: "whatever is sent" in forward.status()["error"])
        store(log, *numbered(100))
        until(forward.settled)
        assert set(sink.names()) == set(numbered(100))
        (row,) = forward.operations.parked("sink")["items"]
        assert (row["first"], row["count"], row["error"]) == ("1", 1, "INTERNAL: storage is broken")


def test_a_requeued_event_that_fails_holds_up_nothing(tmp_path: Path, log: MemoryLog) -> None:
    """It is parked again; new events go on."""
    store(log, "bad", "good")
    with Sink(refusing("bad", reply=FAILED)) as sink, running(tmp_path, log, sink) as forward:
        until(lambda: forward.status()["parked"] == 1)
        forward.operations.requeue("sink")
        store(log, "new")
        until(lambda: "new" in sink.names())
        until(lambda: not forward.operations.parked("sink")["items"][0]["requeued"])
        assert forward.status()["parked"] == 1


def test_a_pause_stops_what_is_sent_again(tmp_path: Path, log: MemoryLog) -> None:
    """Requeued events wait like others, and new ones get their turn between them."""
    for name in numbered(100):
        store(log, name)
        store(log, f"good {name}")
    bad = numbered(100)
    with Sink(refusing(*bad)) as sink, running(tmp_path, log, sink) as forward:
        until(lambda: forward.settled() and forward.status()["parked"] == 100)
        gate = threading.Semaphore(3)
        sink.answer = lambda _: Reply() if gate.acquire(timeout=10) else FAILED
        forward.operations.requeue("sink")
        until(lambda: "span-1" in sink.names())
        forward.operations.pause("sink")
        gate.release(500)
        until(lambda: forward.forwarder.conditions()["sink"].state == "paused")
        assert forward.status()["parked"] > 90
        store(log, "new")
        forward.operations.resume("sink")
        until(lambda: forward.status()["parked"] == 0)
        assert sink.names().index("new") < sink.names().index("span-99")


@pytest.mark.slow
def test_what_cannot_be_recorded_is_not_sent_again(tmp_path: Path, log: MemoryLog) -> None:
    """While `forward.db` takes nothing, a taken window is recorded later, not sent anew."""
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        until(lambda: forward.status()["state"] == "idle")
        with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            store(log, "a")
            until(lambda: "cannot be written" in forward.forwarder.conditions()["sink"].error)
            other.execute("ROLLBACK")
        until(forward.settled)
        assert sink.names() == ["a"]


def test_a_log_that_cannot_be_opened_now_is_not_damaged(tmp_path: Path) -> None:
    """A process out of file descriptors is told to try again; a file that is no log is not."""
    LogWriter(tmp_path).close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(Unavailable, match="cannot be read now"):
            open_reader(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    open_reader(tmp_path).close()
    (tmp_path / "ledger.db").write_bytes(b"no log" * 1000)
    with pytest.raises(LogDamaged):
        open_reader(tmp_path)


def test_a_new_target_is_not_placed_by_a_log_that_cannot_be_read(
    tmp_path: Path, log: MemoryLog
) -> None:
    """It begins at the head that is there once the log can be read, not at the beginning."""
    store(log, "old")
    failures = iter([Unavailable("too many open files"), LogDamaged("torn")])

    def open_log() -> MemoryLog:
        for failure in failures:
            raise failure
        return log

    with Sink() as sink:
        target = resolve(ForwardTarget(f"otlp+grpc://{sink.grpc}", name="sink"))
        with pytest.raises(Unavailable):
            Forwarder(tmp_path, [target], open_log)
        Forwarder(tmp_path, [target], open_log).store.close()
        with running(tmp_path, log, sink, start="head") as forward:
            store(log, "new")
            until(forward.settled)
        assert sink.names() == ["new"]

"""Forwarding to a real OTLP receiver that throttles, refuses, fails and goes away."""

import threading
import time
from pathlib import Path

import pytest

from events.errors import BadInput, NoLog
from events.log.memory import MemoryLog
from service.configuration.settings import ForwardTarget
from service.forward.backoff import Backoff
from service.forward.forwarder import Forwarder
from service.forward.operations import Operations
from service.forward.target import resolve
from tests.certificates import make_certificate
from tests.events import make_batch, make_context, make_log, make_span
from tests.forwarding import numbered, refusing, running, store
from tests.peers.sink import (
    FAILED,
    THROTTLED,
    TOO_LARGE,
    UNAUTHENTICATED,
    UNAVAILABLE,
    Received,
    Reply,
    Sink,
)
from tests.serving import until

TRANSPORTS = ["grpc", "http"]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_everything_arrives_in_bounded_requests(
    tmp_path: Path, log: MemoryLog, transport: str
) -> None:
    """Every span arrives once, in order, in requests no larger than the limit."""
    for start in range(0, 400, 50):
        store(log, *numbered(400)[start : start + 50])
    with Sink() as sink, running(tmp_path, log, sink, transport) as forward:
        until(forward.settled)
        assert sink.names() == numbered(400)
        assert max(request.message.ByteSize() for request in sink.requests) <= 20_000
        assert len(sink.requests) > 1
        assert forward.status()["sent"] == 400


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_tenant_and_headers_are_sent(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """Each request carries one tenant as X-Scope-OrgID, and the target's own headers."""
    store(log, "a", tenant="red")
    store(log, "b", tenant="blue")
    headers = {"Authorization": "Bearer secret"}
    with Sink() as sink, running(tmp_path, log, sink, transport, headers=headers):
        until(lambda: len(sink.taken) == 2)
        by_tenant = {r.headers["x-scope-orgid"]: r.names() for r in sink.taken}
        assert by_tenant == {"red": ["a"], "blue": ["b"]}
        assert {r.headers["authorization"] for r in sink.taken} == {"Bearer secret"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_both_sides_can_show_certificates(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """A target over TLS is trusted by `ca_file` and shown our certificate; another is not."""
    store(log, "a")
    ours, other = make_certificate(tmp_path), make_certificate(tmp_path, "other")
    secure = f"{transport}s"
    files = {"cert_file": ours.certificate, "key_file": ours.key}
    with Sink(tls=ours) as sink:
        with running(tmp_path, log, sink, secure, ca_file=other.certificate, **files) as forward:
            until(lambda: forward.status()["state"] == "waiting")
            assert sink.names() == []
        with running(tmp_path, log, sink, secure, ca_file=ours.certificate, **files) as forward:
            until(forward.settled)
            assert sink.names() == ["a"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_signals_are_chosen(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """A target of both signals gets log records by their own service; one of traces does not."""
    log.append(make_batch([make_span(name="a"), make_log(event_name="e")]))
    both = {"signals": ("traces", "logs")}
    with Sink() as sink, running(tmp_path / "", log, sink, transport, **both) as forward:
        until(forward.settled)
        assert {r.signal: r.names() for r in sink.taken} == {"traces": ["a"], "logs": ["e"]}
    other = tmp_path / "other"
    other.mkdir()
    with Sink() as sink, running(other, log, sink, transport) as forward:
        until(forward.settled)
        assert sink.names() == ["a"]


def test_unfinished_spans_stay_here(tmp_path: Path, log: MemoryLog) -> None:
    """Snapshots without an end and Logfire's pending placeholders are never sent."""
    pending = {"logfire.span_type": "pending_span"}
    log.append(
        make_batch(
            [
                make_span(name="snapshot", end_ns=0),
                make_span(name="pending", attributes=pending),
                make_span(name="final", attributes={"logfire.span_type": "span"}),
            ]
        )
    )
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        until(forward.settled)
        assert sink.names() == ["final"]


def test_no_lag_is_told_before_there_is_a_cursor(tmp_path: Path, log: MemoryLog) -> None:
    """A target that began before the log was made is not "0 behind" until it has been placed."""
    opened: list[MemoryLog] = []

    def open_log() -> MemoryLog:
        if not opened:
            raise NoLog("there is no log yet")
        return opened[0]

    with Sink() as sink:
        target = resolve(ForwardTarget(f"otlp+grpc://{sink.grpc}", name="sink"))
        forwarder = Forwarder(tmp_path, [target], open_log, backoff=lambda: Backoff(0.02, 0.1))
        operations = Operations(forwarder.store, open_log, conditions=forwarder.conditions)
        opened.append(log)
        store(log, "a")
        assert operations.status()[0]["lag_events"] is None
        stop = threading.Event()
        thread = threading.Thread(target=forwarder.run, args=(stop,))
        thread.start()
        until(lambda: operations.status()[0]["lag_events"] == 0)
        stop.set()
        thread.join()
        assert sink.names() == ["a"]


def test_a_target_that_began_before_the_log_gets_all_of_it(tmp_path: Path, log: MemoryLog) -> None:
    """Also if the forwarder was killed before it gave the target its first cursor."""

    def no_log() -> MemoryLog:
        raise NoLog("there is no log yet")

    with Sink() as sink:
        target = resolve(ForwardTarget(f"otlp+grpc://{sink.grpc}", name="sink"))
        for _ in range(2):
            Forwarder(tmp_path, [target], no_log).store.close()
        store(log, "a")
        with running(tmp_path, log, sink, start="head") as forward:
            store(log, "b")
            until(forward.settled)
        assert sink.names() == ["a", "b"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_throttling_is_honoured(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """The wait that a target asks for by RetryInfo or Retry-After is kept to."""
    store(log, "a")
    times: list[float] = []

    def answer(_: Received) -> Reply:
        times.append(time.monotonic())
        return THROTTLED if len(times) == 1 else Reply()

    with Sink(answer) as sink, running(tmp_path, log, sink, transport) as forward:
        until(lambda: forward.status()["state"] == "waiting")
        assert forward.status()["retry_ns"] > time.time_ns()
        until(forward.settled)
        assert sink.names() == ["a"]
    assert times[1] - times[0] >= 1.0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_outage_is_waited_out(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """What is stored while the target is away, and starting again, arrives once it is back."""
    store(log, "a")
    sink = Sink()
    with sink:
        pass  # it has its ports now, and nothing listens there
    with running(tmp_path, log, sink, transport) as forward:
        until(lambda: forward.status()["state"] == "waiting")
        store(log, "b")
        assert forward.status()["lag_events"] == 2
        assert forward.status()["error"]
        starting = iter([UNAVAILABLE, UNAVAILABLE])
        sink.answer = lambda _: next(starting, Reply())
        with sink:
            until(forward.settled)
            assert sink.names() == ["a", "b"]
            assert forward.status()["error"] == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_refused_spans_are_found_and_parked(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """Only the spans that a target cannot take are parked; neighbours share one row."""
    store(log, *numbered(30))
    with (
        Sink(refusing("span-3", "span-20", "span-21")) as sink,
        running(tmp_path, log, sink, transport) as forward,
    ):
        until(forward.settled)
        assert sorted(sink.names()) == sorted(set(numbered(30)) - {"span-3", "span-20", "span-21"})
        rows = forward.operations.parked("sink")["items"]
        assert [(r["first"], r["last"], r["count"]) for r in rows] == [
            ("4", "4", 1),
            ("21", "22", 2),
        ]
        assert "bad span" in rows[0]["error"]
        assert forward.status()["parked"] == 3


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_too_large_requests_are_halved(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """A target with a smaller limit than ours gets everything in smaller requests."""
    store(log, *numbered(20))
    with (
        Sink(lambda r: TOO_LARGE if len(r.names()) > 6 else Reply()) as sink,
        running(tmp_path, log, sink, transport) as forward,
    ):
        until(forward.settled)
        assert sink.names() == numbered(20)
        assert forward.status()["parked"] == 0


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_partial_success_is_not_sent_again(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """Spans that a taken request lost are counted and told, and nothing is sent again."""
    store(log, "a", "b", "c")
    with (
        Sink(lambda _: Reply(message="one was too old", rejected=1)) as sink,
        running(tmp_path, log, sink, transport) as forward,
    ):
        until(forward.settled)
        assert len(sink.requests) == 1
        (row,) = forward.operations.parked("sink")["items"]
        assert (row["first"], row["last"], row["count"], row["partial"]) == ("1", "3", 1, True)
        assert forward.status()["sent"] == 2


def test_a_failing_target_is_given_time(tmp_path: Path, log: MemoryLog) -> None:
    """An error inside the target is tried again; only what keeps failing is parked.

    Before that, "c" is sent once more: the target must still take what it took.
    """
    store(log, "a", "b")
    replies = iter([FAILED, FAILED])
    with Sink(lambda _: next(replies, Reply())) as sink, running(tmp_path, log, sink) as forward:
        until(forward.settled)
        assert sink.names() == ["a", "b"]
        sink.answer = refusing("d", reply=FAILED)
        store(log, "c", "d")
        until(forward.settled)
        assert sink.names() == ["a", "b", "c", "c"]
        assert forward.status()["parked"] == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_barred_target_parks_nothing(tmp_path: Path, log: MemoryLog, transport: str) -> None:
    """Wrong credentials are no fault of any span: the target is told so and waited for."""
    store(log, "a")
    with (
        Sink(lambda _: UNAUTHENTICATED) as sink,
        running(tmp_path, log, sink, transport) as forward,
    ):
        until(lambda: forward.status()["state"] == "barred")
        assert "no token" in forward.status()["error"]
        sink.answer = lambda _: Reply()
        until(forward.settled)
        assert sink.names() == ["a"]
        assert forward.status()["parked"] == 0


def test_a_restart_goes_on_where_it_was(tmp_path: Path, log: MemoryLog) -> None:
    """Nothing that was taken is sent again by the next process."""
    store(log, "a")
    with Sink() as sink:
        with running(tmp_path, log, sink) as forward:
            until(forward.settled)
        store(log, "b")
        with running(tmp_path, log, sink) as forward:
            until(forward.settled)
        assert sink.names() == ["a", "b"]


def test_a_stop_leaves_a_stuck_request(tmp_path: Path, log: MemoryLog) -> None:
    """A target that never answers does not hold up the end; its events are sent again."""
    store(log, "a")
    stuck, over = threading.Event(), threading.Event()

    def answer(_: Received) -> Reply:
        stuck.set()
        over.wait(60)
        return Reply()

    with Sink(answer) as sink:
        with running(tmp_path, log, sink):
            until(stuck.is_set)
            started_s = time.monotonic()
        ended_s = time.monotonic()
        over.set()
    assert ended_s - started_s < 10
    with Sink() as other, running(tmp_path, log, other) as forward:
        until(forward.settled)
        assert other.names() == ["a"]


def test_a_new_target_starts_at_the_head(tmp_path: Path, log: MemoryLog) -> None:
    """Without being told otherwise a new target gets only what comes after it."""
    store(log, "old")
    with Sink() as sink, running(tmp_path, log, sink, start="head") as forward:
        store(log, "new")
        until(forward.settled)
        assert sink.names() == ["new"]


def test_a_new_target_starts_at_a_position(tmp_path: Path, log: MemoryLog) -> None:
    """A position says after which event a new target begins."""
    store(log, "a", "b", "c")
    with Sink() as sink, running(tmp_path, log, sink, start="2") as forward:
        until(forward.settled)
        assert sink.names() == ["c"]


def test_pause_resume_and_rewind(tmp_path: Path, log: MemoryLog) -> None:
    """A paused target gets nothing; a rewound one gets what it had once more."""
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        position = store(log, "a")
        until(forward.settled)
        forward.operations.pause("sink")
        store(log, "b")
        until(lambda: forward.forwarder.conditions()["sink"].state == "paused")
        assert forward.status()["state"] == "paused"
        forward.operations.rewind("sink", position="0")
        assert sink.names() == ["a"]
        forward.operations.resume("sink")
        until(forward.settled)
        assert sink.names() == ["a", "a", "b"]
        forward.operations.rewind("sink", time_ns=time.time_ns())
        store(log, "c")
        until(forward.settled)
        assert sink.names() == ["a", "a", "b", "c"]
        assert position == 1


def test_operations_say_what_is_wrong(tmp_path: Path, log: MemoryLog) -> None:
    """Unknown targets, ids and positions are answered with a sentence."""
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        operations = forward.operations
        for wrong in (
            lambda: operations.pause("nobody"),
            lambda: operations.rewind("sink"),
            lambda: operations.rewind("sink", position="7"),
            lambda: operations.rewind("sink", position="x"),
            lambda: operations.rewind("sink", position="0", partition=3),
            lambda: operations.requeue("sink", 99),
        ):
            with pytest.raises(BadInput):
                wrong()


def test_parked_events_are_requeued_or_discarded(tmp_path: Path, log: MemoryLog) -> None:
    """A parked run is sent again on request, stays parked if refused again, or is given up."""
    store(log, "a", "b", "c")
    with Sink(refusing("a", "c")) as sink, running(tmp_path, log, sink) as forward:
        until(forward.settled)
        first, second = forward.operations.parked("sink")["items"]
        sink.answer = refusing("c")
        assert forward.operations.requeue("sink")["count"] == 2
        until(lambda: forward.status()["parked"] == 1 and "a" in sink.names())
        (left,) = forward.operations.parked("sink")["items"]
        assert left["first"] == second["first"]
        assert not left["requeued"]
        assert forward.operations.discard("sink", left["id"])["count"] == 1
        assert forward.operations.parked("sink")["items"] == []
        assert sink.names() == ["b", "a"]
        assert first["first"] == "1"


def test_every_partition_is_forwarded(tmp_path: Path) -> None:
    """A log of four partitions arrives whole, each with a cursor of its own."""
    log = MemoryLog(partitions=4)
    store(log, *numbered(60))
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        until(forward.settled)
        assert sorted(sink.names()) == sorted(numbered(60))
        assert set(forward.status()["positions"]) == {"0", "1", "2", "3"}


def test_an_exchanged_log_stops_the_target(tmp_path: Path, log: MemoryLog) -> None:
    """Another log, or a shorter copy, is reported and not forwarded until a rewind says so."""
    store(log, "a", "b")
    with Sink() as sink:
        with running(tmp_path, log, sink) as forward:
            until(forward.settled)
        other = MemoryLog()
        store(other, "x")
        with running(tmp_path, other, sink) as forward:
            until(lambda: forward.status()["state"] == "stopped")
            assert "exchanged" in forward.status()["error"]
            forward.operations.rewind("sink", position="0")
            until(forward.settled)
        assert sink.names() == ["a", "b", "x"]


def test_a_shortened_log_stops_the_target(tmp_path: Path, log: MemoryLog) -> None:
    """A log whose end was cut is reported; new events at old positions are not passed over."""
    store(log, "a")
    store(log, "b")
    with Sink() as sink:
        with running(tmp_path, log, sink) as forward:
            until(forward.settled)
        log._segments[0].pop()
        with running(tmp_path, log, sink) as forward:
            until(lambda: forward.status()["state"] == "stopped")
            assert "beyond the log's end" in forward.status()["error"]


def test_contexts_are_grouped(tmp_path: Path, log: MemoryLog) -> None:
    """Spans of one resource and scope share one group in a request."""
    red, blue = make_context(service="red"), make_context(service="blue")
    for number in range(4):
        context = blue if number % 2 else red
        log.append(make_batch([make_span(name=str(number))], context=context))
    with Sink() as sink, running(tmp_path, log, sink) as forward:
        until(forward.settled)
        (request,) = sink.taken
        assert [
            [span.name for scope in resource.scope_spans for span in scope.spans]
            for resource in request.message.resource_spans
        ] == [["0", "2"], ["1", "3"]]

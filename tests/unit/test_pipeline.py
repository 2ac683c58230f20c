"""The pipeline before a log in memory."""

import random
from concurrent.futures import Future

import pytest

from events.errors import BadInput, Closing, CommitFailed, QueueFull
from events.log.memory import MemoryLog
from events.log.port import Appended, Batch
from service.otlp.decode.limits import Limits
from service.otlp.pipeline import Pipeline
from service.otlp.request import Answer, Encoding, Outcome, Request, Signal
from service.otlp.scrub.scrubber import Scrubber
from tests.receivers import HeldDoor, broken_utf8, logs, traces

WAIT_S = 10.0


class FailingLog(MemoryLog):
    """A log whose commits fail as a given sequence of errors says."""

    def __init__(self, errors: list[Exception | None]) -> None:
        super().__init__()
        self.errors = errors

    def append_async(self, batch: Batch) -> "Future[Appended]":
        error = self.errors.pop(0) if self.errors else None
        if error is None:
            return super().append_async(batch)
        future: Future[Appended] = Future()
        future.set_exception(error)
        return future


def make(door: MemoryLog | HeldDoor, queue_bytes: int = 1 << 20) -> Pipeline:
    return Pipeline(door, Limits(), Scrubber(), queue_bytes)


def request(body: bytes, signal: Signal = Signal.TRACES, tenant: str = "default") -> Request:
    return Request(signal, Encoding.PROTOBUF, tenant, 1, body)


def spans(count: int, first: int = 1) -> bytes:
    return traces(count, first=first).SerializeToString()


def stored(log: MemoryLog) -> int:
    return log.head().position


def test_answer_carries_position_and_counts() -> None:
    """The position is at or after every event of the request."""
    log = MemoryLog()
    assert make(log).submit(request(spans(3))).result(WAIT_S) == Outcome(3, 0, (), 3)
    assert stored(log) == 3


def test_resend_is_acknowledged_and_not_stored() -> None:
    """A duplicate is a success with a position."""
    log = MemoryLog()
    pipeline = make(log)
    answers = [pipeline.submit(request(spans(3))).result(WAIT_S) for _ in range(3)]
    assert [answer.position for answer in answers] == [3, 3, 3]
    assert stored(log) == 3


def test_no_answer_before_the_commit() -> None:
    """As long as the door holds a batch, nobody is told ok."""
    door = HeldDoor(MemoryLog())
    door.hold()
    answer = make(door).submit(request(spans(1)))
    with pytest.raises(TimeoutError):
        answer.result(0.2)
    door.let_go()
    assert answer.result(WAIT_S).position == 1


def test_bad_request_fails_alone() -> None:
    """Others of its group are stored."""
    log = MemoryLog()
    door = HeldDoor(log)
    door.hold()
    pipeline = make(door)
    bodies = [spans(2), b"garbage", spans(2, 10), broken_utf8(traces(3, first=20), "span 21")]
    answers = [pipeline.submit(request(body)) for body in bodies]
    door.let_go()
    with pytest.raises(BadInput):
        answers[1].result(WAIT_S)
    counts = [(a.result(WAIT_S).accepted, a.result(WAIT_S).refused) for a in answers[::2]]
    assert counts == [(2, 0), (2, 0)]
    assert (answers[3].result(WAIT_S).accepted, answers[3].result(WAIT_S).refused) == (2, 1)
    assert stored(log) == 6


def test_failed_build_fails_its_own_request() -> None:
    """A tenant that cannot be encoded breaks the group's batch; each is then built alone."""
    log = MemoryLog()
    door = HeldDoor(log)
    door.hold()
    pipeline = make(door)
    first = pipeline.submit(request(spans(1)))
    unbuildable = pipeline.submit(request(spans(1, 10), tenant="\ud800"))
    good = pipeline.submit(request(spans(2, 20)))
    door.let_go()
    assert first.result(WAIT_S).accepted == 1
    with pytest.raises(UnicodeEncodeError):
        unbuildable.result(WAIT_S)
    assert good.result(WAIT_S).accepted == 2
    assert stored(log) == 3


def test_queue_is_bounded_in_bytes() -> None:
    """Beyond the bound a request is refused at once, and taken again when there is room."""
    door = HeldDoor(MemoryLog())
    door.hold()
    body = spans(8)
    pipeline = make(door, queue_bytes=len(body) * 4)
    bodies = (spans(8, 1 + number * 8) for number in range(1000))
    answers: list[Answer] = []
    with pytest.raises(QueueFull):
        answers.extend(pipeline.submit(request(body)) for body in bodies)
    assert pipeline.waiting_bytes <= len(body) * 4 + 200
    door.let_go()
    assert all(answer.result(WAIT_S).accepted == 8 for answer in answers)
    assert pipeline.submit(request(body)).result(WAIT_S).accepted == 8


def test_drain_stores_what_is_queued_and_takes_nothing_new() -> None:
    """Whoever was taken is answered; whoever comes later is told to try again."""
    log = MemoryLog()
    pipeline = make(log)
    answers = [pipeline.submit(request(spans(1, 1 + number))) for number in range(50)]
    assert pipeline.drain(WAIT_S)
    assert all(answer.result().accepted == 1 for answer in answers)
    with pytest.raises(Closing):
        pipeline.submit(request(spans(1)))


def test_drain_has_a_deadline() -> None:
    """What cannot be stored in time is told to try again."""
    door = HeldDoor(MemoryLog())
    door.hold()
    pipeline = make(door)
    pipeline.submit(request(spans(1)))
    while not door.held:
        pass
    queued = pipeline.submit(request(spans(1, 2)))
    assert not pipeline.drain(0.2)
    door.let_go()
    assert queued.done()


def test_who_gave_up_waiting_is_not_stored() -> None:
    """A request that was cancelled in the queue is left out."""
    log = MemoryLog()
    door = HeldDoor(log)
    door.hold()
    pipeline = make(door)
    first = pipeline.submit(request(spans(1)))
    while not door.held:
        pass
    second = pipeline.submit(request(spans(1, 2)))
    second.cancel()
    door.let_go()
    first.result(WAIT_S)
    assert pipeline.drain(WAIT_S)
    assert stored(log) == 1


def test_signals_are_never_mixed_in_a_batch() -> None:
    """Traces and logs of one group are counted apart."""
    log = MemoryLog()
    door = HeldDoor(log)
    door.hold()
    pipeline = make(door)
    answers = [
        pipeline.submit(request(spans(2))),
        pipeline.submit(request(logs(3).SerializeToString(), Signal.LOGS)),
        pipeline.submit(request(spans(2, 10))),
    ]
    door.let_go()
    assert [answer.result(WAIT_S).accepted for answer in answers] == [2, 3, 2]
    assert all(
        len({type(event.event) for event in segment.recorded()}) == 1
        for segment in log.read(0, 0).segments
    )


@pytest.mark.parametrize("scenario", ["success", "retryable", "permanent", "both"])
def test_stored_and_rejected_are_sent(scenario: str) -> None:
    """Whatever fails, each span is stored once or its sender knows that it is not."""
    draw = random.Random(scenario)
    retryable, permanent = scenario in ("retryable", "both"), scenario in ("permanent", "both")
    failures = [
        CommitFailed("disk full") if retryable and draw.random() < 0.4 else None for _ in range(200)
    ]
    log = FailingLog(failures)
    pipeline = make(log)
    sent = rejected = 0
    for number in range(60):
        good = traces(4, first=1 + number * 4)
        if permanent and draw.random() < 0.4:
            good.resource_spans[0].scope_spans[0].spans[2].trace_id = b"short"
        body = good.SerializeToString()
        sent += 4
        while True:
            try:
                rejected += pipeline.submit(request(body)).result(WAIT_S).refused
                break
            except CommitFailed:
                continue
    assert stored(log) + rejected == sent
    assert (rejected > 0) is permanent

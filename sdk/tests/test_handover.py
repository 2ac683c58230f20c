"""From ended spans to a receiver, whatever it answers, and through a spool."""

import email.utils
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import TracerProvider

from spanledger_sdk import attempt, settings, tracing
from spanledger_sdk.guard import troubles
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.processor import HandoverProcessor
from spanledger_sdk.handover.spool import UNWRITABLE
from spanledger_sdk.handover.transport import AWAY, REFUSED, HttpTransport
from spanledger_sdk.settings import Settings
from tests.serving import until

from .collector import Collector, Reply, collecting


@contextmanager
def sending(url: str, spool: Path | str, **changes: Any) -> Iterator[Outbox]:
    """Attempts of this process go there."""
    wanted = Settings(endpoint=url, spool=str(spool), send_interval_s=0.02, exit_timeout_s=1.0)
    force = wanted.changed(changes)
    outbox = Outbox(
        HttpTransport(force), force.queue_items, force.send_interval_s, force.exit_timeout_s
    )
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(HandoverProcessor(outbox))
    settings.put_in_force(force)
    tracing.choose(provider)
    try:
        yield outbox
    finally:
        outbox.close()
        tracing.choose(None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A receiver that takes everything, unless it is told otherwise."""
    with collecting() as found:
        yield found


def make(number: int) -> None:
    for index in range(number):
        with attempt("a", str(index)):
            pass


def test_what_has_ended_arrives(collector: Collector, tmp_path: Path) -> None:
    """Within the interval, with tenant and token."""
    with sending(collector.url, tmp_path, tenant="acme", token="secret"):
        make(3)
        until(lambda: len(collector.spans) == 3)
    request = collector.requests[0]
    assert request.headers["x-scope-orgid"] == "acme"
    assert request.headers["authorization"] == "Bearer secret"
    assert not list(tmp_path.rglob("*.seg"))


@pytest.mark.trouble
def test_what_is_not_taken_waits_on_disk(collector: Collector, tmp_path: Path) -> None:
    """And is sent when the receiver takes it again, once each."""
    collector.reply = lambda request: Reply(503)
    with sending(collector.url, tmp_path):
        make(600)
        until(lambda: list(tmp_path.rglob("*.seg")) and troubles.count(AWAY))
        collector.reply = lambda request: Reply()
        until(lambda: len(collector.taken) == 600)
    assert len({span.trace_id for span in collector.taken}) == 600
    assert not list(tmp_path.rglob("*.seg"))


@pytest.mark.trouble
def test_another_process_sends_what_one_left(collector: Collector, tmp_path: Path) -> None:
    """Nothing listens while the first one lives; the next one of the same target sends it."""
    closed = collector.url
    collector.reply = lambda request: Reply(503)
    with sending(closed, tmp_path):
        make(5)
    assert list(tmp_path.rglob("*.seg"))
    collector.requests.clear()
    collector.reply = lambda request: Reply()
    with sending(closed, tmp_path, tenant="other") as other:
        other.wake()
        time.sleep(0.3)
        assert not collector.spans
    with sending(closed, tmp_path) as heir:
        heir.wake()
        until(lambda: len(collector.spans) == 5)


@pytest.mark.trouble
@pytest.mark.parametrize("text", ["1", "date"])
def test_a_receiver_that_asks_to_wait_is_left_alone(
    collector: Collector, tmp_path: Path, text: str
) -> None:
    """429 with Retry-After, in seconds or as a date."""

    def busy(request: Any) -> Reply:
        wait = email.utils.formatdate(time.time() + 2, usegmt=True) if text == "date" else text
        return Reply(429, (("retry-after", wait),)) if len(collector.requests) == 1 else Reply()

    collector.reply = busy
    with sending(collector.url, tmp_path):
        make(1)
        until(lambda: collector.requests)
        make(20)
        until(lambda: len(collector.taken) == 21)
    first, second, *_ = collector.requests
    assert second.time_s - first.time_s > 0.9


@pytest.mark.trouble
def test_what_is_refused_for_good_is_not_sent_again(collector: Collector, tmp_path: Path) -> None:
    """It is counted; partly refused requests are, too, by what was refused."""
    partial = ExportTraceServiceResponse(
        partial_success=ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    )
    replies = iter([Reply(400), Reply(200, body=partial.SerializeToString())])
    collector.reply = lambda request: next(replies)
    with sending(collector.url, tmp_path):
        make(1)
        until(lambda: len(collector.requests) == 1)
        make(3)
        until(lambda: troubles.count(REFUSED) == 3)
        time.sleep(0.2)
    assert len(collector.requests) == 2


@pytest.mark.trouble
def test_the_end_waits_no_longer_than_it_may(collector: Collector, tmp_path: Path) -> None:
    """A receiver that hangs: what it has not answered and what is behind it wait on disk."""
    collector.reply = lambda request: Reply(wait_s=30)
    with sending(collector.url, tmp_path, exit_timeout_s=0.3, timeout_s=4.0) as outbox:
        make(1)
        until(lambda: collector.requests)
        make(2)
        began_s = time.monotonic()
        outbox.close()
        assert time.monotonic() - began_s < 3
    collector.requests.clear()
    collector.reply = lambda request: Reply()
    with sending(collector.url, tmp_path) as heir:
        heir.wake()
        until(lambda: len({span.span_id for span in collector.spans}) == 3)
    until(lambda: troubles.count(AWAY))  # the thread that hung has ended


@pytest.mark.trouble
def test_memory_is_bounded(collector: Collector, tmp_path: Path) -> None:
    """What comes beyond the queue is dropped and counted, and nobody waits."""
    answering = threading.Event()

    def held(request: Any) -> Reply:
        answering.wait(60)
        return Reply()

    collector.reply = held
    with sending(collector.url, tmp_path, queue_items=100, exit_timeout_s=30.0):
        make(1)
        until(lambda: collector.requests)
        make(300)  # would never end if it waited: nothing is answered meanwhile
        answering.set()
    assert len({span.span_id for span in collector.spans}) == 101
    assert sum(troubles.counts().values()) == 200


@pytest.mark.trouble
def test_without_a_disk_it_waits_in_memory(collector: Collector) -> None:
    """While the process lives."""
    collector.reply = lambda request: Reply(503)
    with sending(collector.url, "off"):
        make(3)
        until(lambda: collector.requests)
        collector.reply = lambda request: Reply()
        until(lambda: len(collector.taken) == 3)


@pytest.mark.trouble
def test_what_a_disk_does_not_take_waits_in_memory(collector: Collector, tmp_path: Path) -> None:
    """As where all that may be written is somewhere else: it is sent when that is possible."""
    taken = tmp_path / "file"
    taken.write_text("no folder")
    collector.reply = lambda request: Reply(503)
    with sending(collector.url, taken):
        make(5)
        until(lambda: troubles.count(UNWRITABLE))
        collector.reply = lambda request: Reply()
        until(lambda: len(collector.taken) == 5)
    assert set(troubles.counts()) == {AWAY, UNWRITABLE}


def test_a_thread_at_work_is_not_woken(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wake it may cost the program's thread the processor; it looks by itself."""
    monkeypatch.setattr("spanledger_sdk.handover.outbox.AWAKE_S", 600.0)
    with sending(collector.url, tmp_path) as outbox:
        make(1)
        until(lambda: len(collector.spans) == 1)
        until(lambda: not outbox._asleep)
        outbox._awake.hush()
        make(5)
        assert not outbox._awake.rung
        until(lambda: len(collector.spans) == 6)


def test_a_thread_that_sleeps_is_woken(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there was nothing to do for a while, it costs nothing until there is."""
    monkeypatch.setattr("spanledger_sdk.handover.outbox.AWAKE_S", 0.0)
    with sending(collector.url, tmp_path) as outbox:
        for number in range(1, 6):
            make(1)
            until(lambda: len(collector.spans) == number)  # noqa: B023 - waited for here
            until(lambda: outbox._asleep)


def test_many_threads_lose_nothing(collector: Collector, tmp_path: Path) -> None:
    """Each attempt of each arrives once."""
    with sending(collector.url, tmp_path):
        threads = [threading.Thread(target=make, args=(200,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(collector.spans) == 1600)
    assert len({span.span_id for span in collector.spans}) == 1600


def test_a_forked_child_sends_its_own(collector: Collector, tmp_path: Path) -> None:
    """What waits in the parent is not sent by the child, too."""
    with sending(collector.url, tmp_path, send_interval_s=0.3):
        make(5)
        child = os.fork()
        if child == 0:
            try:
                with attempt("child", "1"):
                    pass
                outbox_of_child = tracing._chosen
                outbox_of_child.force_flush()  # type: ignore[union-attr]
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        until(lambda: len(collector.spans) == 6)
        time.sleep(0.4)
    assert sorted(span.name for span in collector.spans) == ["a"] * 5 + ["child"]

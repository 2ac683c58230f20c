"""Attempts: their spans, their place among other spans, and their ends."""

import asyncio
import os
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import StatusCode, get_current_span

from spanledger_sdk import attempt, current_attempt, enqueue, names, run, trace_id_of
from spanledger_sdk.guard import troubles
from spanledger_sdk.testing import Capture, capture


def test_an_attempt_is_a_root_of_its_runs_trace(spanledger: Capture) -> None:
    """Its trace id follows from tenant, task and run; identity is set from the start."""
    with attempt("mail.send", "7", number=2, queue="mail", name="Send mail"):
        pass
    (seen,) = spanledger.attempts
    assert int(seen.trace_id, 16) == trace_id_of("default", "mail.send", "7")
    assert seen.span.parent is None
    assert (seen.task_id, seen.run_id, seen.number, seen.retry_of) == ("mail.send", "7", 2, 1)
    assert seen.attributes[names.TASK_QUEUE] == "mail"
    assert seen.attributes[names.TASK_NAME] == "Send mail"
    assert seen.result == "completed"


def test_children_nest_as_usual(spanledger: Capture) -> None:
    """A span started in the block is a child of the attempt."""
    with attempt("a", "1") as made, spanledger.tracer.start_as_current_span("inner") as inner:
        assert inner.get_span_context().trace_id == int(made.trace_id, 16)
    child = spanledger.spans[0]
    assert child.parent is not None
    assert child.parent.span_id == made.span_id


def test_an_active_span_is_linked_to_and_left_alone(spanledger: Capture) -> None:
    """The caller's trace goes on behind the attempt as if it had not been."""
    with spanledger.tracer.start_as_current_span("request") as request:
        with attempt("a", "1"):
            assert get_current_span() is not request
        assert get_current_span() is request
        with spanledger.tracer.start_as_current_span("later"):
            pass
    (seen,) = spanledger.attempts
    caller = request.get_span_context()
    assert seen.linked == {"caller": (f"{caller.span_id:016x}",)}
    assert int(seen.trace_id, 16) != caller.trace_id
    later = spanledger.spans[1]
    assert later.parent is not None
    assert later.parent.span_id == caller.span_id


def test_attempts_in_attempts_have_traces_of_their_own(spanledger: Capture) -> None:
    """The inner one links to the outer one, and the outer one is current again behind it."""
    with attempt("outer", "1") as outer:
        with attempt("inner", "1") as inner:
            assert current_attempt() is inner
        assert current_attempt() is outer
    inner_seen, outer_seen = spanledger.attempts
    assert inner_seen.linked["caller"] == (outer_seen.span_id,)
    assert inner_seen.trace_id != outer_seen.trace_id


def test_a_run_counts_its_attempts_on(spanledger: Capture) -> None:
    """Each links to the one before, in one trace."""
    with run("a", "1") as whole:
        for fails in (True, True, False):
            with whole.attempt() as made:
                if fails:
                    made.fail("not yet")
    first, second, third = spanledger.assert_attempts("a", "failed", "failed", "completed")
    assert second.linked == {"retry_of": (first.span_id,)}
    assert third.linked == {"retry_of": (second.span_id,)}
    assert {first.trace_id, second.trace_id, third.trace_id} == {first.trace_id}


def test_a_run_goes_on_elsewhere(spanledger: Capture) -> None:
    """From the context in a message: number, trace and link."""
    with attempt("a", tenant="acme", queue="q", max_attempts=3) as made:
        made.fail("no")
        headers = made.will_retry(delay_s=2).to_headers()
    from_message = type(made.context).from_headers(headers)
    with attempt("a", context=from_message):
        pass
    first, second = spanledger.assert_attempts("a", "failed", "completed")
    assert first.will_retry
    assert first.attributes[names.TASK_RETRY_DELAY] == 2
    assert second.linked == {"retry_of": (first.span_id,)}
    assert second.trace_id == first.trace_id
    assert second.attributes[names.TASK_QUEUE] == "q"
    assert second.attributes[names.TASK_MAX_ATTEMPTS] == 3


def test_a_queued_run_is_said(spanledger: Capture) -> None:
    """By a PRODUCER span in the run's trace that has no attempt number."""
    context = enqueue("a", "1", queue="q")
    with attempt("a", context=context):
        pass
    queued, made = spanledger.spans
    assert queued.kind.name == "PRODUCER"
    assert names.TASK_ATTEMPT not in (queued.attributes or {})
    said: Any = (made.attributes or {})[names.TASK_QUEUED_AT]
    assert said == context.queued_at_ns == queued.start_time
    assert queued.context.trace_id == made.context.trace_id


def test_an_exception_is_recorded_once_and_goes_on(spanledger: Capture) -> None:
    """Also if the program said it before it raised it again."""

    def work() -> None:
        with attempt("a", "1") as made:
            try:
                raise ValueError("bad")
            except ValueError as exc:
                made.fail(exc)
                raise

    with pytest.raises(ValueError, match="bad"):
        work()
    spanledger.assert_failed("a", "ValueError", "bad")
    (seen,) = spanledger.attempts
    assert "test_attempts.py" in str(
        (seen.span.events[0].attributes or {})[names.EXCEPTION_STACKTRACE]
    )
    assert seen.span.status.status_code is StatusCode.ERROR
    assert seen.span.status.description == "ValueError: bad"


def test_a_cancelled_attempt_is_no_error(spanledger: Capture) -> None:
    """Cancelling goes on through the block, and the span's status is not ERROR."""

    async def work() -> None:
        async with attempt("a", "1"):
            await asyncio.sleep(60)

    async def main() -> None:
        running = asyncio.create_task(work())
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    (seen,) = spanledger.assert_attempts("a", "cancelled")
    assert seen.span.status.status_code is StatusCode.UNSET
    assert seen.error_type == "asyncio.exceptions.CancelledError"


def test_what_the_program_says_wins(spanledger: Capture) -> None:
    """An outcome that was said is not overruled by an exception."""

    def work() -> None:
        with attempt("a", "1") as made:
            made.skip("nothing to do")
            raise RuntimeError("late")

    with pytest.raises(RuntimeError, match="late"):
        work()
    (seen,) = spanledger.assert_attempts("a", "skipped")
    assert seen.message == "nothing to do"


def test_a_process_tells_by_its_exit(spanledger: Capture) -> None:
    """Exit code, signal, and the end of what it said."""
    with attempt("backup", "1") as made:
        made.process_exit(-9, "reading\nout of memory\n")
    spanledger.assert_failed("backup", "SIGKILL", "ended by SIGKILL: out of memory")
    assert spanledger.attempts[0].attributes[names.PROCESS_EXIT_CODE] == 137


def test_tasks_of_an_event_loop_do_not_mix(spanledger: Capture) -> None:
    """Each sees its own attempt, whatever runs between its steps."""

    async def work(number: int) -> None:
        async with attempt("a", str(number)) as made:
            for _ in range(3):
                await asyncio.sleep(0)
                assert current_attempt() is made

    async def main() -> None:
        await asyncio.gather(*(work(number) for number in range(20)))

    asyncio.run(main())
    assert {seen.run_id for seen in spanledger.attempts} == {str(n) for n in range(20)}


def test_it_may_be_ended_by_another_thread(spanledger: Capture) -> None:
    """Started and ended without a block, and only once."""
    made = attempt("a", "1").start()
    thread = threading.Thread(target=made.end, args=(ValueError("x"),))
    thread.start()
    thread.join()
    made.end()
    spanledger.assert_failed("a", "ValueError", "x")


def test_the_providers_sampler_decides_by_the_runs_trace() -> None:
    """So tries of one run are kept or dropped together."""
    with capture(sampler=ParentBased(TraceIdRatioBased(0.5))) as seen:
        for number in range(40):
            with run("a", str(number)) as whole:
                for _ in range(2):
                    with whole.attempt():
                        pass
    kept = [a.run_id for a in seen.attempts]
    assert 0 < len(set(kept)) < 40
    assert all(kept.count(run_id) == 2 for run_id in kept)


def test_a_dropped_attempt_is_said_once_and_runs(caplog: pytest.LogCaptureFixture) -> None:
    """With what to do about it."""
    ran = []
    with capture(sampler=ALWAYS_OFF) as seen:
        for _ in range(3):
            with attempt("a"):
                ran.append(1)
    assert ran == [1, 1, 1]
    assert not seen.attempts
    assert sum('sample="always"' in text for text in caplog.messages) == 1


def test_attempts_may_always_be_recorded() -> None:
    """By an argument or by the settings, and their children with them."""
    with capture(sampler=ParentBased(ALWAYS_OFF)) as seen:
        with attempt("a", "1", sample="always"), seen.tracer.start_as_current_span("inner"):
            pass
        with seen.tracer.start_as_current_span("other"):
            pass
    assert [span.name for span in seen.spans] == ["inner", "a"]
    with capture(sampler=ALWAYS_OFF, changes={"sample": "always"}) as seen:
        with attempt("a", "1"):
            pass
        with attempt("b", "1", sample="provider"):
            pass
    assert [a.task_id for a in seen.attempts] == ["a"]


def test_switched_off_nothing_is_recorded() -> None:
    """The block runs; whatever is said in it goes nowhere."""
    with capture(changes={"disabled": True}) as seen, attempt("a", "1") as made:
        made.progress(0.5)
        assert current_attempt() is None
        enqueue("b")
    assert not seen.spans
    assert made.result == "completed"


def test_a_forked_child_ends_nothing_of_its_parents(spanledger: Capture) -> None:
    """The attempt that it was forked in is its parent's, and ends there."""
    with attempt("a", "1") as made:
        child = os.fork()
        if child == 0:
            try:
                made.end()
                with attempt("b", "1"):
                    pass
                os._exit(0 if [seen.task_id for seen in spanledger.attempts] == ["b"] else 1)
            finally:  # no exception lets it go on with the other tests
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
    spanledger.assert_attempts("a", "completed")


@pytest.mark.trouble
def test_bad_values_are_said_and_replaced(spanledger: Capture) -> None:
    """A wrong number or id ends nothing."""
    with attempt("", number=-3):
        pass
    with attempt(3, "1") as made:  # type: ignore[arg-type]
        made.progress("half")  # type: ignore[arg-type]
        made.progress(float("nan"))
    with attempt("a", "1", name=["no", "text"]):  # type: ignore[arg-type]
        pass
    assert [a.number for a in spanledger.attempts] == [1, 1, 1]
    assert not any("task.progress" in a.attributes for a in spanledger.attempts)
    assert len(troubles.counts()) == 3


class Broken:
    """A span processor that fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


@pytest.mark.trouble
def test_a_broken_processor_ends_nothing() -> None:
    """Its exceptions stop at the attempt, and are counted."""
    broken: Any = Broken()
    with capture() as seen:
        seen.provider.add_span_processor(broken)
        with attempt("a", "1"):
            ran = True
        seen.provider._active_span_processor._span_processors = ()  # it would fail at shutdown too
    assert ran
    assert troubles.counts()


def test_everything_that_may_be_said(spanledger: Capture) -> None:
    """Each sentence becomes attributes or an event of the attempt's span."""
    with attempt("a", "1", usage="all") as made:
        made.progress(1.5, "nearly")
        made.executor("w1", tool="pytest", model="m", planner="p")
        made.review("lint", True)
        made.review("security", False, "a secret in it")
        made.causes("b", "c")
        made.parents("d")
        made.io(files_read=3, files_written=["x"], bytes_read=5)
        made.retrieval(2, ["wiki"])
        made.cost(0.25, input_tokens=100, output_tokens=20)
    (seen,) = spanledger.attempts
    said = {key: value for key, value in seen.attributes.items() if "usage.c" not in key}
    assert said["task.progress"] == 1.0
    assert said["task.executor.tool"] == "pytest"
    assert said["task.causes"] == ("b", "c")
    assert said["task.io.files_written"] == ("x",)
    assert said["task.cost.usd"] == 0.25
    assert said["gen_ai.usage.input_tokens"] == 100
    reviews = [dict(event.attributes or {}) for event in seen.span.events]
    assert [r["task.review.approved"] for r in reviews] == [True, False]
    assert seen.attributes["task.usage.cpu"] >= 0
    assert seen.attributes["task.usage.peak_memory"] > 1 << 20


def test_processor_time_is_measured_of_attempts_that_last() -> None:
    """Of the attempt's own thread; in an event loop, whose thread is shared, of none."""

    async def work() -> None:
        async with attempt("shared", "1"):
            await asyncio.sleep(0.002)

    with capture(counting=False, changes={"usage": "cpu"}) as seen:
        with attempt("busy", "1"):
            until_s = time.thread_time() + 0.01
            while time.thread_time() < until_s:
                pass
        with attempt("short", "1"):
            pass
        asyncio.run(work())
        made = attempt("elsewhere", "1").start()
        time.sleep(0.002)
        thread = threading.Thread(target=made.end)
        thread.start()
        thread.join()
    said = {a.task_id: a.attributes.get(names.TASK_USAGE_CPU) for a in seen.attempts}
    assert 0.01 <= said.pop("busy") < 1
    assert said == {"short": None, "shared": None, "elsewhere": None}

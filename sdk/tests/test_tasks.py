"""`@task` on each kind of function."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest

from spanledger_sdk import AttemptContext, current_attempt, progress, resume, run, task
from spanledger_sdk.testing import Capture


def test_a_call_is_a_run_of_one_attempt(spanledger: Capture) -> None:
    """Of the function's own name where no task is named; it stays the function that it was."""

    @task
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    assert add(2, b=3) == 5
    assert add.__doc__ == "Adds."
    (seen,) = spanledger.attempts
    assert seen.task_id.endswith("add")
    add(1, 1)
    assert len({a.run_id for a in spanledger.attempts}) == 2


def test_it_is_tried_again(spanledger: Capture) -> None:
    """Until it is well; each failure announces the next attempt."""
    calls = []

    @task("a", max_attempts=3, retry_on=ConnectionError, delay_s=lambda number: 0.001 * number)
    def work() -> str:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("reset")
        return "well"

    assert work() == "well"
    first, second, third = spanledger.assert_attempts("a", "failed", "failed", "completed")
    assert (first.will_retry, second.will_retry, third.will_retry) == (True, True, False)
    assert second.attributes["task.retry.delay"] == 0.002


def test_the_last_failure_reaches_the_caller(spanledger: Capture) -> None:
    """And one that is not to be retried, at once."""

    @task("a", max_attempts=2, retry_on=ConnectionError, delay_s=0)
    def work(error: Exception) -> None:
        raise error

    with pytest.raises(ConnectionError):
        work(ConnectionError())
    assert [a.will_retry for a in spanledger.attempts] == [True, False]
    with pytest.raises(KeyError):
        work(KeyError())
    assert len(spanledger.attempts) == 3


def test_the_run_id_may_follow_from_the_arguments(spanledger: Capture) -> None:
    """Two calls for one order are one run in one trace."""

    @task("charge", run_id=lambda order: f"order-{order}")
    def charge(order: int) -> None:
        pass

    charge(1)
    charge(1)
    one, other = spanledger.attempts
    assert one.run_id == other.run_id == "order-1"
    assert one.trace_id == other.trace_id


def test_a_call_goes_on_with_a_carried_run(spanledger: Capture) -> None:
    """The first call of that task in the block, and no other."""

    @task("a")
    def work(deeper: bool = False) -> None:
        if deeper:
            work()

    with resume(AttemptContext("a", "7", 3, previous_span_id="00000000000000ff")):
        work(deeper=True)
    inner, outer = spanledger.attempts
    assert (outer.run_id, outer.number) == ("7", 3)
    assert outer.linked["retry_of"] == ("00000000000000ff",)
    assert (inner.run_id != "7", inner.number) == (True, 1)


def test_coroutines(spanledger: Capture) -> None:
    """Are tried again too, and are still coroutine functions."""
    calls = []

    @task("a", max_attempts=2, delay_s=0)
    async def work() -> int:
        await asyncio.sleep(0)
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return 5

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work()) == 5
    spanledger.assert_attempts("a", "failed", "completed")


def test_generators(spanledger: Capture) -> None:
    """One attempt from the first step to the end, current only while the generator works."""

    @task("a")
    def count() -> Iterator[int]:
        for number in range(3):
            assert current_attempt() is not None
            yield number

    found = []
    for number in count():
        assert current_attempt() is None
        assert not spanledger.attempts
        found.append(number)
    assert found == [0, 1, 2]
    spanledger.assert_attempts("a", "completed")


def test_generators_take_what_is_sent_and_thrown(spanledger: Capture) -> None:
    """As without the decorator; one that is closed early is cancelled."""

    @task("a")
    def echo() -> Iterator[object]:
        said: object = None
        while True:
            try:
                said = yield said
            except KeyError as exc:
                said = exc

    talk = echo()
    next(talk)
    assert talk.send(3) == 3  # type: ignore[attr-defined]
    error = KeyError()
    assert talk.throw(error) is error  # type: ignore[attr-defined]
    with pytest.raises(OSError):  # noqa: PT011 - the one thrown in
        talk.throw(OSError())  # type: ignore[attr-defined]
    spanledger.assert_failed("a", "OSError")
    talk = echo()
    next(talk)
    talk.close()  # type: ignore[attr-defined]
    assert spanledger.attempts[-1].result == "cancelled"


def test_asynchronous_generators(spanledger: Capture) -> None:
    """Likewise, with what is thrown in and an early end."""

    @task("a")
    async def count() -> AsyncIterator[int]:
        number = 0
        while number < 3:
            assert current_attempt() is not None
            try:
                yield number
            except KeyError:
                number = 10
            number += 1

    async def main() -> None:
        found = []
        async for number in count():
            assert current_attempt() is None
            found.append(number)
        assert found == [0, 1, 2]
        talk = count()
        await anext(talk)
        with pytest.raises(StopAsyncIteration):
            await talk.athrow(KeyError())  # type: ignore[attr-defined]
        early = count()
        await anext(early)
        await early.aclose()  # type: ignore[attr-defined]

    asyncio.run(main())
    assert [a.result for a in spanledger.attempts] == ["completed", "completed", "cancelled"]


def test_a_loop_over_attempts(spanledger: Capture) -> None:
    """Without a function, in a block or a coroutine."""
    for made in run("a", "1").attempts(3, retry_on=ValueError, delay_s=0):
        with made:
            progress(0.5)
            if made.number < 2:
                raise ValueError
    spanledger.assert_attempts("a", "failed", "completed")

    async def main() -> None:
        async for made in run("b", "1").attempts(2, delay_s=0):
            async with made:
                raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one from the block
        asyncio.run(main())
    spanledger.assert_attempts("b", "failed", "failed")


@pytest.mark.trouble
def test_faults_of_the_programs_own_functions_end_nothing(spanledger: Capture) -> None:
    """A run id or a delay that cannot be computed is replaced."""

    @task("a", run_id=lambda: 1 / 0, max_attempts=2, delay_s=lambda number: 1 / 0)
    def work() -> None:
        if current_attempt().number == 1:  # type: ignore[union-attr]
            raise ValueError

    work()
    spanledger.assert_attempts("a", "failed", "completed")


def test_methods_of_all_kinds_in_either_order(spanledger: Capture) -> None:
    """`@task` above or below `@classmethod` and `@staticmethod`."""

    class Mail:
        @task("a")
        @classmethod
        def above(cls, text: str) -> str:
            return cls.__name__ + text

        @task
        @staticmethod
        def static(text: str) -> str:
            return text

        @classmethod
        @task("a")
        def below(cls, text: str) -> str:
            return cls.__name__ + text

    assert (Mail.above("1"), Mail.static("2"), Mail.below("3")) == ("Mail1", "2", "Mail3")
    assert Mail().above("1") == "Mail1"
    named = [attempt.task_id.rpartition("<locals>.")[2] for attempt in spanledger.attempts]
    assert named == ["a", "Mail.static", "a", "a"]


def test_what_has_no_name_is_named_by_what_it_calls(spanledger: Capture) -> None:
    """A partial by its function, a callable object by its class."""

    class Charge:
        def __call__(self) -> int:
            return 7

    assert task(partial(partial(int, "11"), base=2))() == 3
    assert task(Charge())() == 7
    first, second = [attempt.task_id for attempt in spanledger.attempts]
    assert first == "builtins.int"
    assert second.endswith("Charge")

"""Programs that run tasks with the SDK and log their own truth, to be run as processes.

`python -m sdk.tests.programs NAME TRUTH`: each attempt's end becomes a line of JSON in the file
TRUTH, written by the program itself and not through the SDK.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from spanledger_sdk import Attempt, AttemptContext, attempt, configure, current_attempt, run, task

TRUTH = Path(os.devnull)


def tell(made: Attempt, status: str) -> None:
    """One line of truth; appended whole, also by several processes."""
    line = {"task": made.task_id, "run": made.run_id, "n": made.number, "status": status}
    with TRUTH.open("a") as file:
        file.write(json.dumps(line) + "\n")


def here() -> Attempt:
    """The attempt that this code runs in."""
    found = current_attempt()
    assert found is not None
    return found


@task("flaky", max_attempts=3, delay_s=0, retry_on=ConnectionError)
def flaky(good_at: int) -> None:
    """Is well at its `good_at`-th attempt."""
    if here().number < good_at:
        tell(here(), "failed")
        raise ConnectionError("reset")
    tell(here(), "completed")


@task("async", max_attempts=2, delay_s=0)
async def flaky_async() -> None:
    """Is well the second time."""
    await asyncio.sleep(0.001)
    if here().number < 2:
        tell(here(), "failed")
        raise ValueError("not yet")
    tell(here(), "completed")


@task("slow")
async def slow() -> None:
    """Is cancelled by its caller."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        tell(here(), "cancelled")
        raise


async def loop() -> None:
    """Some of each in one event loop."""
    cancelled = asyncio.create_task(slow())
    await asyncio.sleep(0.05)
    cancelled.cancel()
    await asyncio.gather(cancelled, *(flaky_async() for _ in range(20)), return_exceptions=True)


def work_on(headers: dict[str, str]) -> dict[str, str] | None:
    """In a worker process: one attempt of a message; returns the message of the next one."""
    context = AttemptContext.from_headers(headers)
    with attempt("carried", context=context) as made:
        if made.number < 3:
            made.fail(f"in process {os.getpid()}")
            tell(made, "failed")
            return made.will_retry().to_headers()
        tell(made, "completed")
    return None


def everything() -> None:
    """Threads, an event loop, timeouts, skips, processes of both kinds; a short script."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(flaky, [1, 2, 3] * 10))
    asyncio.run(loop())
    with attempt("odd", "1") as made:
        made.skip("nothing to do")
        tell(made, "skipped")
    try:
        with attempt("odd", "2") as made:
            tell(made, "timed_out")
            raise TimeoutError("too long")
    except TimeoutError:
        pass
    for kind in ("fork", "spawn"):
        with ProcessPoolExecutor(2, multiprocessing.get_context(kind), initializer=begin,
                                 initargs=(str(TRUTH),)) as workers:  # fmt: skip
            message = run("carried", kind).context.to_headers()
            while message:
                message = workers.submit(work_on, message).result()


def killed() -> None:
    """Some attempts end, one runs; then the process kills itself."""
    for number in range(20):
        with attempt("done", str(number)) as made:
            tell(made, "completed")
    with attempt("killed", "1") as made:
        tell(made, "running")
        time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGKILL)


def forked() -> None:
    """`os.fork` while attempts run and wait to be sent; parent and child go on."""
    for number in range(5):
        with attempt("parent", str(number)) as made:
            tell(made, "completed")
    child = os.fork()
    with attempt("child" if child == 0 else "parent", "after") as made:
        tell(made, "completed")
    if child:
        os.waitpid(child, 0)


def threaded() -> None:
    """Ends while threads that are no daemons still work."""

    def work(number: int) -> None:
        time.sleep(0.05)
        with attempt("late", str(number)) as made:
            tell(made, "completed")

    for number in range(5):
        threading.Thread(target=work, args=(number,)).start()


def short() -> None:
    """As short as can be."""
    for number in range(50):
        with attempt("short", f"{os.getpid()}-{number}") as made:
            tell(made, "completed")


def begin(truth: str) -> None:
    """What a process does first."""
    global TRUTH  # noqa: PLW0603 - a program's own
    TRUTH = Path(truth)
    configure(service="program")


PROGRAMS: dict[str, Any] = {
    made.__name__: made for made in (everything, killed, forked, threaded, short)
}

if __name__ == "__main__":
    begin(sys.argv[2])
    PROGRAMS[sys.argv[1]]()

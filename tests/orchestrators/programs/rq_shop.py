"""A shop on RQ; `python rq_shop.py` submits one job of each kind, with `lost` only the one that
loses its process; `rq_worker.py` works.

Telemetry is what the community instrumentation's documentation shows: `RQInstrumentor`.
"""

import os
import signal
import sys
import time
from contextlib import AbstractContextManager

import telemetry
import truth
from opentelemetry_instrumentation_rq import RQInstrumentor
from redis import Redis
from rq import Queue, Retry, get_current_job

telemetry.set_up()
RQInstrumentor().instrument()

RETRIES = {"always_fails": 2, "third_time_lucky": 4}
queue = Queue("shop", connection=Redis.from_url(os.environ["BROKER"]))


def number() -> int:
    """Which try this is, from 1."""
    job = get_current_job()
    most = RETRIES.get(job.func_name.rpartition(".")[2], 0)
    return most - (most if job.retries_left is None else job.retries_left) + 1


def trying() -> AbstractContextManager[None]:
    """Log the truth of the try that this job is in."""
    job = get_current_job()
    return truth.trying(job.func_name, job.id, number())


def ok() -> int:
    """Always works."""
    with trying():
        return 1


def always_fails(order: int) -> None:
    """Fails three times, for good."""
    with trying():
        raise ValueError(f"bad order {order}")


def third_time_lucky() -> None:
    """Works at its third try."""
    with trying():
        if number() < 3:
            raise ConnectionError("db down")


def plain_failure() -> None:
    """Fails once, and is not tried again."""
    with trying():
        raise KeyError("missing")


def parent() -> None:
    """Submits another job."""
    with trying():
        queue.enqueue(ok)


def too_slow() -> None:
    """Is interrupted when its time is over."""
    with trying():
        time.sleep(10)


def worker_lost() -> None:
    """Loses the process that it runs in."""
    with trying():
        time.sleep(2)  # what the process had to say was sent
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Submit one of each kind; the fourth of them waits for the third."""
    if sys.argv[1:] != ["lost"]:
        submit_others()
    queue.enqueue("rq_shop.worker_lost")


def submit_others() -> None:
    """All kinds but one."""
    queue.enqueue("rq_shop.always_fails", 17, retry=Retry(max=RETRIES["always_fails"], interval=1))
    queue.enqueue("rq_shop.third_time_lucky", retry=Retry(max=RETRIES["third_time_lucky"]))
    first = queue.enqueue("rq_shop.ok")
    queue.enqueue("rq_shop.ok", depends_on=first)
    queue.enqueue("rq_shop.plain_failure")
    queue.enqueue("rq_shop.parent")
    queue.enqueue("rq_shop.too_slow", job_timeout=1)


if __name__ == "__main__":
    main()

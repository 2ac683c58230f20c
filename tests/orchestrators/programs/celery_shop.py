"""A shop on Celery; `python celery_shop.py` submits one task of each kind.

Telemetry is what the instrumentation's documentation shows: `CeleryInstrumentor` in each worker
process, and in the producer unless `PRODUCER=plain`.
"""

import os
import signal
import time
from contextlib import AbstractContextManager

import telemetry
import truth
from celery import Task, chain, group
from celery.exceptions import Ignore, Reject
from celery.signals import worker_process_init
from celery_on_broker import make_app
from opentelemetry.instrumentation.celery import CeleryInstrumentor

LINKS = os.environ.get("LINKS") == "1"

app = make_app("shop", backend=os.environ["BACKEND"])


@worker_process_init.connect(weak=False)
def instrument(**_: object) -> None:
    """What the documentation says: after the fork, in each worker process."""
    telemetry.set_up()
    CeleryInstrumentor().instrument(use_span_links=LINKS)


def trying(task: Task) -> AbstractContextManager[None]:
    """Log the truth of the try that this task is in."""
    return truth.trying(task.name, task.request.id, task.request.retries + 1)


@app.task(bind=True, name="shop.ok")
def ok(self: Task, number: int) -> int:
    """Always works."""
    with trying(self):
        return number


@app.task(
    bind=True,
    name="shop.always_fails",
    autoretry_for=(ValueError,),
    retry_backoff=False,
    default_retry_delay=1,
    max_retries=2,
)
def always_fails(self: Task, order: int) -> None:
    """Fails three times, for good."""
    with trying(self):
        raise ValueError(f"bad order {order}")


@app.task(bind=True, name="shop.third_time_lucky", max_retries=5)
def third_time_lucky(self: Task, order: int) -> int:
    """Asks for a retry itself, twice."""
    try:
        with trying(self):
            if self.request.retries < 2:
                raise ConnectionError(f"db down, order {order}")
            return order
    except ConnectionError as exc:
        raise self.retry(exc=exc, countdown=1) from exc


@app.task(bind=True, name="shop.plain_failure")
def plain_failure(self: Task) -> None:
    """Fails once, and is not tried again."""
    with trying(self):
        raise KeyError("missing")


@app.task(bind=True, name="shop.parent")
def parent(self: Task) -> None:
    """Submits another task."""
    with trying(self):
        ok.delay(7)


@app.task(bind=True, name="shop.ignored")
def ignored(self: Task) -> None:
    """Says itself that its result does not matter."""
    with trying(self):
        raise Ignore


@app.task(bind=True, name="shop.rejected", acks_late=True)
def rejected(self: Task) -> None:
    """Gives its message back, to nobody."""
    with trying(self):
        raise Reject("no", requeue=False)


@app.task(bind=True, name="shop.soft_limit", soft_time_limit=1)
def soft_limit(self: Task) -> None:
    """Is told that its time is over."""
    with trying(self):
        time.sleep(10)


@app.task(bind=True, name="shop.hard_limit", time_limit=1)
def hard_limit(self: Task) -> None:
    """Is killed when its time is over."""
    with trying(self):
        time.sleep(10)


@app.task(bind=True, name="shop.worker_lost")
def worker_lost(self: Task) -> None:
    """Loses the process that it runs in."""
    with trying(self):
        time.sleep(1)  # what the process did before has been sent
        os.kill(os.getpid(), signal.SIGKILL)


def submit() -> None:
    """One of each kind, a chain, a group, and a task submitted by its name."""
    always_fails.delay(17)
    third_time_lucky.delay(21)
    chain(ok.s(1), ok.s()).apply_async()
    group(ok.s(2), ok.s(3)).apply_async()
    app.send_task("shop.ok", args=[4])
    for kind in (plain_failure, parent, ignored, rejected, soft_limit):
        kind.delay()
    time.sleep(6)  # a process that dies takes along what was just given to it
    for kind in (hard_limit, worker_lost):
        kind.delay()


def run_eagerly() -> None:
    """Tasks that run where they are called, without a broker."""
    ok.apply(args=[5])
    plain_failure.apply()
    third_time_lucky.apply(args=[22])


def main() -> None:
    """Submit one of each kind."""
    if os.environ.get("PRODUCER") != "plain":
        telemetry.set_up()
        CeleryInstrumentor().instrument(use_span_links=LINKS)
        run_eagerly()
    submit()


if __name__ == "__main__":
    main()

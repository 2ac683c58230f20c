"""Celery tasks that lose their process; `python celery_killed.py` submits one of each kind.

With `LIFECYCLE=1` the workers have our lifecycle processor beside the usual exporter, nothing else.
"""

import os
import signal
import time
from pathlib import Path

import telemetry
import truth
from celery import Task
from celery.signals import worker_process_init
from celery_on_broker import make_app
from opentelemetry.instrumentation.celery import CeleryInstrumentor

app = make_app("killed")


@worker_process_init.connect(weak=False)
def instrument(**_: object) -> None:
    """After the fork, in each worker process."""
    telemetry.set_up()
    CeleryInstrumentor().instrument()


@app.task(bind=True, name="killed.lost")
def lost(self: Task) -> None:
    """Loses its process, and with it its message."""
    with truth.trying(self.name, self.request.id, 1):
        time.sleep(2)  # what the process has to say was sent
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, name="killed.redelivered", acks_late=True, reject_on_worker_lost=True)
def redelivered(self: Task) -> None:
    """Loses its process; its message is delivered again, which Celery counts as no retry."""
    mark = Path("redelivered")  # not every transport says it to the task
    again = mark.exists()
    mark.touch()
    with truth.trying(self.name, self.request.id, 2 if again else 1):
        if not again:
            time.sleep(2)
            os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, name="killed.stopped")
def stopped(self: Task) -> None:
    """Its process stands still until somebody lets it go on, as a laptop that sleeps."""
    with truth.trying(self.name, self.request.id, 1):
        time.sleep(2)
        Path("stopped.pid").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)


def main() -> None:
    """Submit one of each kind, one after the other: a process that dies takes others along."""
    telemetry.set_up()
    CeleryInstrumentor().instrument()
    for task in (stopped, lost, redelivered):
        task.delay()


if __name__ == "__main__":
    main()

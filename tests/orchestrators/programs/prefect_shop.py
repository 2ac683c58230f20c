"""A flow on Prefect 3, which needs no server of its own to be started; `python prefect_shop.py`.

Prefect makes its spans itself; the usual set-up of the SDK is all that is added.
"""

import time
from contextlib import AbstractContextManager

import telemetry
import truth

provider = telemetry.set_up()  # before Prefect is imported, as its documentation says

from prefect import flow, task  # noqa: E402
from prefect.context import TaskRunContext  # noqa: E402


def number() -> int:
    """Which try this is, from 1."""
    return TaskRunContext.get().task_run.run_count


def trying() -> AbstractContextManager[None]:
    """Log the truth of the try that this task is in."""
    run = TaskRunContext.get().task_run
    return truth.trying(TaskRunContext.get().task.name, str(run.id), run.run_count)


@task
def ok(order: int) -> int:
    """Always works."""
    with trying():
        return order


@task(retries=2, retry_delay_seconds=0.5)
def always_fails(order: int) -> None:
    """Fails three times, for good."""
    with trying():
        raise ValueError(f"bad order {order}")


@task(retries=3, retry_delay_seconds=[0.2, 0.2, 0.2])
def third_time_lucky() -> None:
    """Works at its third try."""
    with trying():
        if number() < 3:
            raise ConnectionError("db down")


@task(retries=1)
def at_once() -> None:
    """Is tried again without a pause."""
    with trying():
        if number() < 2:
            raise RuntimeError("first time")


@task
def plain_failure() -> None:
    """Fails once, and is not tried again."""
    with trying():
        raise KeyError("missing")


@task(timeout_seconds=1)
def too_slow() -> None:
    """Is interrupted when its time is over."""
    with trying():
        for _ in range(40):
            time.sleep(0.05)


@flow
def inner() -> None:
    """A flow in a flow."""
    ok(5)


@flow
def shop() -> None:
    """All of them."""
    for future in [ok.submit(number) for number in range(2)]:
        future.result()
    inner()
    third_time_lucky()
    at_once()
    for each in (plain_failure, too_slow):
        each(return_state=True)
    always_fails(17, return_state=True)


if __name__ == "__main__":
    shop(return_state=True)
    provider.shutdown()

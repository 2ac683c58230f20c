"""A DAG on Airflow 3.3, with one task of each kind.

Airflow makes its spans itself; its settings are all that turns them on.
"""

import os
import signal
import time
from contextlib import AbstractContextManager
from datetime import timedelta

import truth
from airflow.sdk import PokeReturnValue, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

AT_ONCE = timedelta(0)


def trying() -> AbstractContextManager[None]:
    """Log the truth of the try that this task is in."""
    ti = get_current_context()["ti"]
    run = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
    return truth.trying(f"{ti.dag_id}.{ti.task_id}", run, ti.try_number)


def number() -> int:
    """Which try this is, from 1."""
    found: int = get_current_context()["ti"].try_number
    return found


@task
def orders() -> list[int]:
    """What the mapped task gets."""
    with trying():
        return [5, 7]


@task
def mapped(order: int) -> int:
    """Always works, once for each order."""
    with trying():
        return order


@task(retries=2, retry_delay=AT_ONCE)
def always_fails() -> None:
    """Fails three times, for good."""
    with trying():
        raise ValueError("bad order 17")


@task
def never_runs() -> None:
    """Waits for a task that fails."""
    with trying():
        pass


@task(retries=3, retry_delay=AT_ONCE)
def third_time_lucky() -> None:
    """Works at its third try."""
    with trying():
        if number() < 3:
            raise ConnectionError("db down")


@task
def skipped() -> None:
    """Skips itself."""
    with trying():
        raise AirflowSkipException("nothing to do")


@task(execution_timeout=timedelta(seconds=5))
def too_slow() -> None:
    """Is interrupted when its time is over."""
    with trying():
        time.sleep(60)


@task
def worker_lost() -> None:
    """Loses the process that it runs in."""
    with trying():
        os.kill(os.getpid(), signal.SIGKILL)


@task.sensor(mode="reschedule", poke_interval=10)
def rescheduled() -> PokeReturnValue:
    """Finds nothing when it looks first, and gives its place up until it looks again."""
    if get_current_context()["task_reschedule_count"] == 0:
        return PokeReturnValue(False)
    with trying():
        return PokeReturnValue(True)


@dag(schedule=None)
def shop() -> None:
    """All of them."""
    mapped.expand(order=orders())
    always_fails() >> never_runs()
    third_time_lucky()
    skipped()
    too_slow()
    worker_lost()
    rescheduled()


shop()

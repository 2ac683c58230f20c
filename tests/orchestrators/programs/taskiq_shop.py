"""A shop on Taskiq; `python taskiq_shop.py` submits one task of each kind, with `lost` only
the one that loses its worker.

Telemetry is what Taskiq's documentation shows: its own `OpenTelemetryMiddleware`.
"""

import asyncio
import os
import signal
import sys
from contextlib import AbstractContextManager

import telemetry
import truth
from taskiq import Context, SimpleRetryMiddleware, TaskiqDepends
from taskiq.middlewares.opentelemetry_middleware import OpenTelemetryMiddleware
from taskiq_redis import ListQueueBroker

telemetry.set_up()
broker = ListQueueBroker(os.environ["BROKER"]).with_middlewares(
    OpenTelemetryMiddleware(), SimpleRetryMiddleware(default_retry_count=3)
)
CONTEXT = TaskiqDepends()
ONLY_LOST = sys.argv[1:] == ["lost"]


def trying(context: Context) -> AbstractContextManager[None]:
    """Log the truth of the try that this task is in."""
    message = context.message
    return truth.trying(
        message.task_name, message.task_id, int(message.labels.get("_retries", 0)) + 1
    )


@broker.task(task_name="shop:ok")
async def ok(context: Context = CONTEXT) -> int:
    """Always works."""
    with trying(context):
        return 1


@broker.task(task_name="shop:always_fails", retry_on_error=True, max_retries=3)
async def always_fails(order: int, context: Context = CONTEXT) -> None:
    """Fails three times, for good."""
    with trying(context):
        raise ValueError(f"bad order {order}")


@broker.task(task_name="shop:third_time_lucky", retry_on_error=True, max_retries=5)
async def third_time_lucky(context: Context = CONTEXT) -> None:
    """Works at its third try."""
    with trying(context):
        if int(context.message.labels.get("_retries", 0)) < 2:
            raise ConnectionError("db down")


@broker.task(task_name="shop:plain_failure")
async def plain_failure(context: Context = CONTEXT) -> None:
    """Fails once, and is not tried again."""
    with trying(context):
        raise KeyError("missing")


@broker.task(task_name="shop:parent")
async def parent(context: Context = CONTEXT) -> None:
    """Submits another task."""
    with trying(context):
        await ok.kiq()


@broker.task(task_name="shop:too_slow", timeout=1)
async def too_slow(context: Context = CONTEXT) -> None:
    """Is cancelled when its time is over."""
    with trying(context):
        await asyncio.sleep(10)


@broker.task(task_name="shop:worker_lost")
async def worker_lost(context: Context = CONTEXT) -> None:
    """Loses the process that it runs in."""
    with trying(context):
        await asyncio.sleep(1)  # what the process did before has been sent
        os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    """Submit one of each kind."""
    await broker.startup()
    if not ONLY_LOST:
        await always_fails.kiq(17)
        for kind in (third_time_lucky, ok, plain_failure, parent, too_slow):
            await kind.kiq()
        await asyncio.sleep(3)  # the others have ended when it takes their process down
    await worker_lost.kiq()
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())

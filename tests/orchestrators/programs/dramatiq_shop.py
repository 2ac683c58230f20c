"""A shop on Dramatiq; `python dramatiq_shop.py` submits one message of each kind, with `lost`
only the one that loses its worker.

Telemetry is what the community instrumentor's documentation shows: `DramatiqInstrumentor`.
"""

import os
import signal
import sys
import time
from contextlib import AbstractContextManager

import dramatiq
import telemetry
import truth
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage
from opentelemetry_instrumentor_dramatiq import DramatiqInstrumentor

telemetry.set_up()
DramatiqInstrumentor().instrument()
broker = RedisBroker(url=os.environ["BROKER"])
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)
ONLY_LOST = sys.argv[1:] == ["lost"]


def number() -> int:
    """Which try this is, from 1."""
    return CurrentMessage.get_current_message().options.get("retries", 0) + 1


def trying() -> AbstractContextManager[None]:
    """Log the truth of the try that this actor is in."""
    message = CurrentMessage.get_current_message()
    return truth.trying(message.actor_name, message.message_id, number())


@dramatiq.actor(max_retries=0)
def ok() -> None:
    """Always works."""
    with trying():
        return


@dramatiq.actor(max_retries=2, min_backoff=200, max_backoff=400)
def always_fails(order: int) -> None:
    """Fails three times, for good."""
    with trying():
        raise ValueError(f"bad order {order}")


@dramatiq.actor(max_retries=5, min_backoff=200, max_backoff=400)
def third_time_lucky() -> None:
    """Works at its third try."""
    with trying():
        if number() < 3:
            raise ConnectionError("db down")


@dramatiq.actor(max_retries=0)
def plain_failure() -> None:
    """Fails once, and is not tried again."""
    with trying():
        raise KeyError("missing")


@dramatiq.actor(max_retries=0)
def parent() -> None:
    """Submits another message."""
    with trying():
        ok.send()


@dramatiq.actor(max_retries=0, time_limit=1000)
def too_slow() -> None:
    """Is interrupted when its time is over."""
    with trying():
        for _ in range(100):
            time.sleep(0.1)


@dramatiq.actor(max_retries=0)
def worker_lost() -> None:
    """Loses the process that it runs in."""
    with trying():
        time.sleep(1)  # what the process did before has been sent
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Submit one of each kind."""
    if not ONLY_LOST:
        always_fails.send(17)
        for kind in (third_time_lucky, ok, plain_failure, parent, too_slow):
            kind.send()
        time.sleep(6)  # the others have ended when it takes their process down
    worker_lost.send()


if __name__ == "__main__":
    main()

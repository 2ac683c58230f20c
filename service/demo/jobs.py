"""The work of the demo's orchestrator: tasks that succeed, recover, fail for good, time out, run
long, or lose their worker."""

import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

LOST_AGAIN_AFTER_S = 11.0
"""How long a queue waits before it gives the work of a silent worker to another one."""


class CardDeclined(Exception):
    """The bank says no, every time."""


class Cancelled(Exception):
    """The orchestrator stops, and this attempt with it."""


class WorkerGone(Exception):
    """The process that ran this attempt is gone: nobody can say how it ended."""


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt, as its work sees it; `number` counts from 1."""

    number: int
    stopping: threading.Event

    def work(self, shortest_s: float, longest_s: float) -> None:
        """Be busy for a while.

        Raises:
            Cancelled: the orchestrator stops.
        """
        if self.stopping.wait(random.uniform(shortest_s, longest_s)):
            raise Cancelled("the orchestrator stops")


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of task: its work, how often it is tried, who runs it, and every how many rounds."""

    task_id: str
    work: Callable[[Try], None]
    queue: str
    executors: tuple[str, ...]
    max_attempts: int = 3
    model: str = ""
    every_rounds: int = 1


def charge_card(attempt: Try) -> None:
    """Recovers: the payment service answers at the second or third try."""
    attempt.work(0.05, 0.2)
    if attempt.number < random.choice((2, 2, 3)):
        raise ConnectionError("payments.internal:443: connection reset by peer")


def send_receipt(attempt: Try) -> None:
    """Fails for good, and leaks an address into its message, which is scrubbed."""
    attempt.work(0.02, 0.08)
    raise CardDeclined(f"no receipt for order {random.randrange(9999)} of jo@example.com")


def render_report(attempt: Try) -> None:
    """Always works."""
    attempt.work(0.05, 0.4)


def rebuild_index(attempt: Try) -> None:
    """Takes too long for its limit."""
    attempt.work(0.5, 0.5)
    raise TimeoutError("index 'orders' not ready after 0.5 s")


def plan_trip(attempt: Try) -> None:
    """An agent's step: one in four goes wrong."""
    attempt.work(0.1, 0.5)
    if random.random() < 0.25:
        raise ValueError(f"tool call {uuid.uuid4()} returned no JSON")


def train_model(attempt: Try) -> None:
    """Runs long: to be seen while it runs."""
    attempt.work(20, 20)


def encode_video(attempt: Try) -> None:
    """Loses its first worker after a few heartbeats; the second one does it."""
    attempt.work(2, 3)
    if attempt.number == 1:
        raise WorkerGone


JOBS = (
    Job("checkout.charge", charge_card, "payments", ("worker-1", "worker-2"), max_attempts=4),
    Job("checkout.receipt", send_receipt, "mail", ("worker-2",)),
    Job("report.render", render_report, "reports", ("worker-1", "worker-3")),
    Job("search.reindex", rebuild_index, "batch", ("worker-3",), max_attempts=2),
    Job("agent.plan-trip", plan_trip, "agents", ("planner-small",), model="small-1"),
    Job("agent.plan-trip", plan_trip, "agents", ("planner-large",), model="large-1"),
    Job("model.train", train_model, "batch", ("gpu-1",), max_attempts=1, every_rounds=14),
    Job("video.encode", encode_video, "batch", ("spot-1", "spot-2"), every_rounds=14),
)

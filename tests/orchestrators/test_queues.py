"""Taskiq, RQ and Dramatiq over a real Redis, each with the instrumentation that it has: workers,
retries, time limits, a lost worker."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrators.comparison import Key, Known, compare, usual
from tests.orchestrators.play import PROGRAMS, Play, settled
from tests.orchestrators.programs.truth import Try
from tests.orchestrators.redis import redis
from tests.serving import serving

pytestmark = pytest.mark.orchestrators


def play_shop(
    name: str,
    folder: Path,
    worker: tuple[str, ...],
    ready: str,
    tries: int,
    killed: int,
    tells: Callable[[list[Try]], Callable[[Try], Known | None]],
) -> dict[Key, dict[str, Any]]:
    """The attempts of one shop, once they are its truth."""
    with serving(folder) as service, redis(folder / "redis") as broker:
        play = Play(name, folder / "play", service.http, {"BROKER": broker})
        with play.working(*worker, ready=ready):
            play.run(str(PROGRAMS / f"{name}_shop.py"))
            tried = settled(play, tries, killed)
            return compare(service, tried, tells(tried))


def test_taskiq(tmp_path: Path) -> None:
    """Retried tasks have no error type: the middleware keeps the text of the exception only."""

    def tells(one: Try) -> Known | None:
        if one.task == "shop:too_slow":
            return Known("timed_out", "TimeoutError")
        known = usual(one)
        if known is not None and one.task in {"shop:always_fails", "shop:third_time_lucky"}:
            return dataclasses.replace(known, error_type="")
        return known

    worker = ("-m", "taskiq", "worker", "taskiq_shop:broker", "-w", "1", "--no-configure-logging")
    attempts = play_shop("taskiq", tmp_path, worker, "", 12, 1, lambda _: tells)
    assert {attempt["system"] for attempt in attempts.values()} == {"taskiq"}


def test_rq(tmp_path: Path) -> None:
    """RQ's worker forks for each job; of one whose process is killed only the worker tells."""

    def tells(one: Try) -> Known | None:
        if one.task == "rq_shop.too_slow":
            return Known("timed_out", "rq.timeouts.JobTimeoutException")
        return usual(one) or Known("abandoned", when=False)

    worker = (str(PROGRAMS / "rq_worker.py"),)
    attempts = play_shop("rq", tmp_path, worker, "istening on", 13, 1, lambda _: tells)
    assert {attempt["system"] for attempt in attempts.values()} == {"rq"}


def test_dramatiq(tmp_path: Path) -> None:
    """The instrumentor says OK of everything: one that was tried again has failed, and of the last
    try nothing is known."""

    def telling(tried: list[Try]) -> Callable[[Try], Known | None]:
        last = {one.run: one for one in tried}

        def tells(one: Try) -> Known | None:
            if not one.outcome:
                return None
            return Known("unknown" if last[one.run] is one else "failed")

        return tells

    worker = ("-m", "dramatiq", "-p", "1", "-t", "4", "dramatiq_shop")
    attempts = play_shop("dramatiq", tmp_path, worker, "ready for action", 12, 1, telling)
    assert {attempt["system"] for attempt in attempts.values()} == {"dramatiq"}

"""Celery, unmodified, with the instrumentation's own defaults and without: real workers, retries,
time limits, a lost worker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.orchestrators.comparison import Key, Known, compare, usual
from tests.orchestrators.play import PROGRAMS, Play, settled
from tests.orchestrators.programs.truth import Try
from tests.orchestrators.redis import redis
from tests.serving import serving, until

pytestmark = pytest.mark.orchestrators

WORKER: Final = (
    "-m", "celery", "-A", "celery_shop", "worker", "-c", "4", "-l", "INFO",
    "--without-gossip", "--without-mingle",
)  # fmt: skip
TRIES: Final = 19
"""By workers; those in the producer itself come on top."""
EAGER: Final = 5


def told(one: Try) -> Known | None:
    """A task that gives itself up is cancelled. Of one whose process is killed there is no trace;
    where Celery's hard time limit did it, its span may have been sent just before the end."""
    if one.task in {"shop.ignored", "shop.rejected"}:
        return Known("cancelled")
    if one.task == "shop.hard_limit":
        return Known("abandoned", at_all=False)
    return usual(one)


def play_shop(
    folder: Path, broker: str, tries: int, **environment: str
) -> tuple[list[Try], dict[Key, dict[str, Any]]]:
    """The truth of one shop, and its attempts."""
    for name in ("queue", "control", "results"):
        (folder / name).mkdir(parents=True)
    backend = f"file://{folder}/results"
    with serving(folder) as service:
        variables = {"BROKER": broker, "BACKEND": backend, **environment}
        play = Play("celery", folder, service.http, variables)
        with play.working(*WORKER, ready="ready."):
            play.run(str(PROGRAMS / "celery_shop.py"))
            until(lambda: len(play.truth) >= tries, within_s=40)
            tried = settled(play)
        assert len(tried) == tries
        return tried, compare(service, tried, told)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Try], dict[Key, dict[str, Any]]]:
    """Producer and workers instrumented, no broker but the file system."""
    return play_shop(tmp_path_factory.mktemp("default"), "filesystem://", TRIES + EAGER)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis."""
    with redis(tmp_path / "redis") as url:
        yield url


def test_attempts_are_what_the_program_did(
    shop: tuple[list[Try], dict[Key, dict[str, Any]]],
) -> None:
    """Each try of each task, numbered, with its outcome, its error and its time."""
    _, attempts = shop
    assert {attempt["system"] for attempt in attempts.values()} == {"celery"}
    queued = [a for (task, _, _), a in attempts.items() if task == "shop.soft_limit"]
    assert [attempt["queue"] for attempt in queued] == ["celery"]


def test_attempts_say_which_process_ran_them(
    shop: tuple[list[Try], dict[Key, dict[str, Any]]],
) -> None:
    """Several worker processes, and the producer for the eager ones."""
    _, attempts = shop
    assert len({attempt["executor"] for attempt in attempts.values()} - {None}) > 2


def test_span_links_give_the_same_attempts(tmp_path: Path, broker: str) -> None:
    """`use_span_links=True` makes a new trace for each try; over Redis."""
    tried, attempts = play_shop(tmp_path / "play", broker, TRIES + EAGER, LINKS="1")
    run = next(one.run for one in tried if one.task == "shop.always_fails")
    traces = {attempt["trace_id"] for (_, key, _), attempt in attempts.items() if key == run}
    assert len(traces) == 3


def test_an_uninstrumented_producer_changes_nothing(tmp_path: Path, broker: str) -> None:
    """Runs are known by the id of their message."""
    play_shop(tmp_path / "play", broker, TRIES, PRODUCER="plain")

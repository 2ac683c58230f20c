"""Workers that are killed, with our lifecycle processor added to their telemetry: what ran is
abandoned once its heartbeats are missed, and a late end corrects it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import spanledger_sdk
from tests.orchestrators.comparison import attempts_of
from tests.orchestrators.play import PROGRAMS, Play
from tests.orchestrators.redis import redis
from tests.serving import Service, serving, until

pytestmark = pytest.mark.orchestrators

SDK: Final = Path(spanledger_sdk.__file__).parents[1]
WITHIN_S: Final = 120.0
CELERY: Final = (
    "-m", "celery", "-A", "celery_killed", "worker", "-c", "3", "-l", "INFO",
    "--without-gossip", "--without-mingle",
)  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that misses attempts soon."""
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, "--heartbeat-interval-s", "1") as running:
        yield running


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis."""
    with redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


def play(service: Service, name: str, folder: Path, broker: str) -> Play:
    """A stage whose programs have the SDK at hand, and its processor on."""
    for part in ("queue", "control"):
        (folder / part).mkdir(parents=True)
    variables = {
        "BROKER": broker, "LIFECYCLE": "1", "PYTHONPATH": f"{PROGRAMS}:{SDK}",
        "SPANLEDGER_SDK_HEARTBEAT_INTERVAL_S": "0.3", "SPANLEDGER_SDK_SPOOL": "off",
    }  # fmt: skip
    return Play(name, folder, service.http, variables)


def tries_of(service: Service, run: str) -> list[dict[str, Any]]:
    """The attempts of a run, by number."""
    found = [one for (_, of, _), one in attempts_of(service).items() if of == run]
    return sorted(found, key=lambda one: one["attempt"])


def statuses(service: Service, run: str) -> list[str]:
    return [one["status"] for one in tries_of(service, run)]


TASKIQ: Final = ("-m", "taskiq", "worker", "taskiq_shop:broker", "-w", "1")
DRAMATIQ: Final = ("-m", "dramatiq", "-p", "1", "-t", "1", "dramatiq_shop")
RQ: Final = (str(PROGRAMS / "rq_worker.py"),)


@pytest.mark.parametrize(
    ("name", "worker", "ready", "rules"),
    [
        ("taskiq", TASKIQ, "", {"taskiq.execute@1"}),
        ("dramatiq", DRAMATIQ, "ready for action", {"dramatiq.worker@1"}),
        ("rq", RQ, "istening on", {"rq.perform@1"}),
    ],
)
def test_others(
    service: Service,
    broker: str,
    tmp_path: Path,
    name: str,
    worker: tuple[str, ...],
    ready: str,
    rules: set[str],
) -> None:
    """One attempt that is abandoned, by the rule that took it; RQ's worker tells the end of it."""
    stage = play(service, name, tmp_path, broker)
    with stage.working(*worker, ready=ready):
        stage.run(str(PROGRAMS / f"{name}_shop.py"), "lost")
        until(lambda: len(stage.truth) == 1, WITHIN_S)
        (lost,) = stage.truth
        until(lambda: statuses(service, lost.run) == ["abandoned"], WITHIN_S)
        assert {one["rule"] for one in tries_of(service, lost.run)} == rules


@pytest.mark.parametrize("transport", ["filesystem", "redis"])
def test_celery(service: Service, broker: str, tmp_path: Path, transport: str) -> None:
    """One process killed, one killed with its message delivered again, one that only slept."""
    url = broker if transport == "redis" else "filesystem://"
    stage = play(service, "celery", tmp_path, url)
    with stage.working(*CELERY, ready="ready."):
        stage.run(str(PROGRAMS / "celery_killed.py"))
        until(lambda: len(stage.truth) == 4, WITHIN_S)
        runs = {one.task.partition(".")[2]: one.run for one in stage.truth}
        until(lambda: statuses(service, runs["stopped"]) == ["abandoned"], WITHIN_S)
        until(lambda: statuses(service, runs["lost"]) == ["abandoned"], WITHIN_S)
        both = ["abandoned", "completed"]
        until(lambda: statuses(service, runs["redelivered"]) == both, WITHIN_S)
        (lost,) = tries_of(service, runs["lost"])
        assert (lost["system"], lost["rule"]) == ("celery", "celery.run@1")
        assert "no heartbeat" in lost["error"]["message"]
        assert lost["started_ns"] < lost["ended_ns"]
        first, second = tries_of(service, runs["redelivered"])
        assert second["retry_of"] == first["attempt_id"]
        os.kill(int((tmp_path / "stopped.pid").read_text()), signal.SIGCONT)
        until(lambda: statuses(service, runs["stopped"]) == ["completed"], WITHIN_S)

"""Programs with the SDK against a real service: what it shows is what they did.

The processes are real ones, and some are killed; the truth is what they wrote into a file.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.serving import Service, clean_environment, serving, until

ROOT = Path(__file__).parents[2]
HEARTBEAT_S = 0.5


@pytest.fixture(scope="module")
def port() -> int:
    """Of the service, the same when it is started again."""
    return free_port()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Service]:
    """One for most tests; each has a tenant of its own."""
    options = ("--http-port", str(port), "--heartbeat-interval-s", str(HEARTBEAT_S))
    with serving(tmp_path_factory.mktemp("service"), *options) as found:
        yield found


def program(name: str, folder: Path, port: int, tenant: str, expected: int = 0) -> None:
    """Run one of the programs to its end."""
    env = clean_environment(
        {
            "SPANLEDGER_SDK_ENDPOINT": f"http://127.0.0.1:{port}",
            "SPANLEDGER_SDK_TENANT": tenant,
            "SPANLEDGER_SDK_SPOOL": str(folder / "spool"),
            "SPANLEDGER_SDK_HEARTBEAT_INTERVAL_S": str(HEARTBEAT_S),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "sdk")]),
        }
    )
    command = [sys.executable, "-m", "sdk.tests.programs", name, str(folder / "truth")]
    done = subprocess.run(
        command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == expected, done.stderr


def truth(folder: Path) -> set[tuple[Any, ...]]:
    """What the programs of this folder did."""
    lines = (folder / "truth").read_text().splitlines()
    return {tuple(json.loads(line).values()) for line in lines}


def attempts(service: Service, tenant: str) -> list[dict[str, Any]]:
    """All that the service shows of a tenant."""
    headers = {"x-scope-orgid": tenant}
    found: list[dict[str, Any]] = []
    path = "/api/v1/attempts?limit=500"
    while path:
        page = service.ask(path, **headers)
        found += page["items"]
        cursor = page.get("next")
        path = f"/api/v1/attempts?limit=500&cursor={cursor}" if cursor else ""
    return found


def shown(service: Service, tenant: str) -> set[tuple[Any, ...]]:
    """The same, as the truth has it."""
    return {
        (a["task_id"], a["run_id"], a["attempt"], a["status"]) for a in attempts(service, tenant)
    }


@pytest.mark.parametrize("name", ["everything", "threaded", "short"])
def test_what_a_program_did_is_what_is_shown(
    service: Service, tmp_path: Path, port: int, name: str
) -> None:
    """Every attempt of every thread, coroutine and process, though the program ends at once."""
    program(name, tmp_path, port, name)
    until(lambda: shown(service, name) == truth(tmp_path))
    assert not list(tmp_path.rglob("*.seg"))


def test_a_run_through_processes_is_one_trace(service: Service, tmp_path: Path, port: int) -> None:
    """Three attempts in other processes, each the retry of the one before."""
    program("everything", tmp_path, port, "processes")
    until(lambda: shown(service, "processes") == truth(tmp_path))
    found = [a for a in attempts(service, "processes") if a["task_id"] == "carried"]
    for run_id in ("fork", "spawn"):
        one, two, three = sorted(
            (a for a in found if a["run_id"] == run_id), key=lambda a: a["attempt"]
        )
        assert one["trace_id"] == two["trace_id"] == three["trace_id"]
        assert (two["retry_of"], three["retry_of"]) == (one["attempt_id"], two["attempt_id"])
        assert one["error"]["message"].startswith("in process")


def test_a_forked_program_sends_each_attempt_once(
    service: Service, tmp_path: Path, port: int
) -> None:
    """Parent and child send their own, from the moment of the fork on."""
    program("forked", tmp_path, port, "forked")
    until(lambda: shown(service, "forked") == truth(tmp_path))


def test_a_killed_program_leaves_what_it_did(service: Service, tmp_path: Path, port: int) -> None:
    """What had ended is shown; what ran is running, and abandoned when it is missed."""
    program("killed", tmp_path, port, "killed", expected=-9)
    done = {line for line in truth(tmp_path) if line[0] == "done"}
    until(lambda: done <= shown(service, "killed"))
    until(lambda: ("killed", "1", 1, "abandoned") in shown(service, "killed"))
    assert len(shown(service, "killed")) == 21


@pytest.mark.slow
def test_while_the_service_is_away_attempts_wait(tmp_path: Path) -> None:
    """Programs that end or are killed meanwhile lose nothing; the next one sends it all."""
    port = free_port()
    began_s = time.monotonic()
    for _ in range(2):
        program("short", tmp_path, port, "away")
    assert time.monotonic() - began_s < 100
    program("killed", tmp_path, port, "away", expected=-9)
    assert list((tmp_path / "spool").rglob("*.seg"))
    with serving(tmp_path, "--http-port", str(port)) as service:
        program("short", tmp_path, port, "away")
        until(lambda: shown(service, "away") == truth(tmp_path))
        assert not list((tmp_path / "spool").rglob("*.seg"))


@pytest.mark.slow
def test_a_service_that_is_started_again_gets_what_it_missed(tmp_path: Path) -> None:
    """By a program that runs through the outage."""
    port = free_port()
    with serving(tmp_path, "--http-port", str(port)) as service:
        program("short", tmp_path, port, "again")
        until(lambda: shown(service, "again") == truth(tmp_path))
    program("everything", tmp_path, port, "again")
    with serving(tmp_path, "--http-port", str(port)) as service:
        program("short", tmp_path, port, "again")
        until(lambda: shown(service, "again") == truth(tmp_path))
        found = attempts(service, "again")
    assert len(found) == len(truth(tmp_path))  # nothing twice

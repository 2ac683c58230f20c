"""A service with groups in processes of their own, killed under load."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from events.errors import Unavailable
from projections.storage import apart
from service.control.socket import call
from tests.acceptance.test_kill import Load, running
from tests.invariants import check_log, check_views, wait_views
from tests.serving import SERVE, Service, clean_environment, metric_of

pytestmark = pytest.mark.slow

GROUPS = ("error_patterns", "task_metrics", "traces")
APART = [word for name in GROUPS for word in ("--apart", name)]
KILLS = 8


def kill(service: Service, instance: str) -> None:
    """Kill a child as a crash would, if it lives."""
    pid = service.children().get(instance)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def rebuild(data: Path, name: str) -> None:
    """Rebuild a group, once the projector is there again."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            call(data, "projector", "rebuild", timeout_s=120, names=[name])
        except Unavailable:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)
        else:
            return


def wait_all(service: Service) -> None:
    """Wait until every group has seen everything that is stored."""
    head = wait_views(service)
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        places = {p["position"] for p in service.ask("/api/v1/projections")["items"]}
        if places == {head}:
            return
        time.sleep(0.1)
    raise AssertionError(service.ask("/api/v1/projections"))


def test_killed_under_load_they_lose_and_double_nothing(tmp_path: Path) -> None:
    """SIGKILL of a group's process or of the projector, again and again: rows as of a clean fold;
    and a rebuild, a rollback and setting them together again change nothing of that."""
    data = tmp_path / "data"
    load = Load()
    with running(data, *APART) as service:
        load.service = service
        for number in range(KILLS):
            time.sleep(0.4)
            kill(service, ["projector", *(f"apart-{name}" for name in GROUPS)][number % 4])
        rebuild(data, "task_metrics")
        acknowledged, sent = load.finish()
        wait_all(service)
        assert metric_of(service, "spanledger_process_up", process="apart-traces") == 1
        assert service.terminate() == 0
    assert set(apart.files((data / "views.db").resolve())) == set(GROUPS)
    check_log(data, acknowledged, sent)
    check_views(data, tmp_path / "apart")
    with running(data) as service:
        wait_all(service)
        deadline_s = time.monotonic() + 60
        while apart.files((data / "views.db").resolve()) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        wait_all(service)
        assert service.terminate() == 0
    assert apart.files((data / "views.db").resolve()) == {}
    check_views(data, tmp_path / "together")


def test_a_stopped_one_lags_alone(tmp_path: Path) -> None:
    """While its process hangs the others are fed and asked, and what reads it says where it is."""
    data = tmp_path / "data"
    load = Load()
    with running(data, "--apart", "task_metrics") as service:
        load.service = service
        pid = service.children()["apart-task_metrics"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(1.0)
        load.finish()
        head = wait_views(service)
        answer = service.ask("/api/v1/metrics/tasks")
        assert int(answer["position"]) < int(head)
        os.kill(pid, signal.SIGCONT)
        wait_all(service)
        assert call(data, "projector", "pause", names=["task_metrics"]) == {"paused": True}
        states = {p["name"]: p["status"] for p in call(data, "projector", "status")["projections"]}
        assert states["task_metrics"] in {"running", "paused"}  # it is noted within a second
        assert call(data, "projector", "resume") == {"paused": False}
        assert service.terminate() == 0
    check_views(data, tmp_path / "clean")


def test_one_runs_alone_in_the_foreground(tmp_path: Path) -> None:
    """`--role apart-NAME` runs it; one that is not set apart, or none, is named."""
    for role, hint in (("apart", "with NAME set apart"), ("apart-runs", "with runs set apart")):
        found = subprocess.run(
            [*SERVE, "--data", str(tmp_path), "--role", role], capture_output=True, text=True,
            env=clean_environment(), timeout=60, check=False,
        )  # fmt: skip
        assert found.returncode == 2
        assert hint in found.stderr
    wrong = subprocess.run(
        [*SERVE, "--data", str(tmp_path), "--apart", "facts"], capture_output=True, text=True,
        env=clean_environment(), timeout=60, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2
    assert "--apart facts: no such projection" in wrong.stderr

"""The demo, as a newcomer runs it: what its orchestrator did stands in the answers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import alive
from tests.serving import until
from tests.terminal import terminal

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-P", "-m", "service.cli.main"]
ROOT = Path(__file__).parents[2]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("SPANLEDGER_")}


def ask(data: Path, *question: str) -> Any:
    """The JSON answer of a command."""
    command = [*COMMAND, *question, "--data", str(data), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True, env=CLEAN).stdout)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The data folder and the words of one `spanledger demo --once`."""
    data = tmp_path_factory.mktemp("demo") / "data"
    command = [*COMMAND, "demo", "--data", str(data), "--once"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=120, env=CLEAN
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return data, done.stdout


def test_every_kind_of_end_is_shown_and_kept(played: tuple[Path, str]) -> None:
    """Tasks succeed, fail for good, recover, time out, and are cancelled when it stops."""
    data, shown = played
    runs = ask(data, "runs", "--limit", "1000")["items"]
    ends = {(run["task_id"], run["status"]) for run in runs}
    assert ("report.render", "completed") in ends
    assert ("checkout.receipt", "failed") in ends
    assert ("search.reindex", "timed_out") in ends
    assert ("model.train", "cancelled") in ends
    assert any(run["recovered"] and run["task_id"] == "checkout.charge" for run in runs)
    assert all(task in shown for task, _ in ends)


def test_attempts_are_as_many_as_the_orchestrator_made(played: tuple[Path, str]) -> None:
    """Each run that failed for good was tried as often as its job allows, and numbered so."""
    data, _ = played
    found: dict[str, list[int]] = {}
    for attempt in ask(data, "attempts", "--task", "checkout.receipt", "-n", "1000")["items"]:
        found.setdefault(attempt["run_id"], []).append(attempt["attempt"])
    counts = Counter(tuple(sorted(numbers)) for numbers in found.values())
    assert counts[(1, 2, 3)] >= 8
    assert all(numbers == tuple(range(1, len(numbers) + 1)) for numbers in counts)


def test_private_data_never_reached_the_log(played: tuple[Path, str]) -> None:
    """The address in the error message was scrubbed before it was stored."""
    data, shown = played
    command = [*COMMAND, "log", "read", "--data", str(data), "--json"]
    log = subprocess.run(command, capture_output=True, text=True, check=True, env=CLEAN).stdout
    assert "jo@example.com" not in log + shown
    assert "[email]" in log


def test_it_goes_on_until_it_is_told_to_stop_and_runs_again(played: tuple[Path, str]) -> None:
    """A second demo continues the same log, serves on, and ends cleanly within seconds."""
    data, _ = played
    before = ask(data, "log", "stats")["events"]
    with subprocess.Popen(
        [*COMMAND, "demo", "--data", str(data)], stdout=subprocess.PIPE, text=True, env=CLEAN
    ) as demo:
        assert demo.stdout is not None
        seen = ""
        while "Stop " not in seen:
            line = demo.stdout.readline()
            assert line, seen
            seen += line
        time.sleep(1)
        asked_s = time.monotonic()
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        assert demo.wait(30) == 0
        assert time.monotonic() - asked_s < 15
    assert ask(data, "log", "stats")["events"] > before
    assert not (data / "endpoints.json").exists()


def wait_stopped(data: Path, pid: int) -> None:
    """The service of the demo ends, and takes its file of endpoints along."""
    until(lambda: not alive(pid), within_s=30)
    assert not (data / "endpoints.json").exists()


@pytest.mark.parametrize("before", ["", "timeout 90"], ids=["in front", "in the background"])
def test_make_demo_runs_in_any_terminal(before: str, tmp_path: Path) -> None:
    """In front Ctrl-C ends it, and `make` without an error; `timeout` keeps it behind, and it
    runs and ends by SIGTERM all the same. Nothing is left of it."""
    data = tmp_path / "data"
    words = (
        f'cd "{ROOT}" && {before} make -o install demo VENV="{sys.prefix}" DEMO_DATA="{data}"'
        "; echo after $?"
    )
    with terminal(words) as it:
        it.read_until("Ctrl-C", within_s=80)
        service = json.loads((data / "endpoints.json").read_text())["pid"]
        if before:
            (child,) = Path(f"/proc/{it.shell}/task/{it.shell}/children").read_text().split()
            os.kill(int(child), signal.SIGTERM)
        else:
            it.press(b"\x03")
        it.read_until("Stopped.", within_s=40)
        wait_stopped(data, service)
        assert before or "after 0" in it.read_until("after")


def test_real_celery_workers_are_seen(tmp_path: Path) -> None:
    """Their tasks know nothing of us, and are attempts: done, tried again, and failed."""
    data = tmp_path / "data"
    command = [*COMMAND, "demo", "--data", str(data), "--once", "--with", "celery"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=150, env=CLEAN
    )
    assert done.returncode == 0, done.stdout + done.stderr
    attempts = ask(data, "attempts", "--limit", "1000")["items"]
    assert {attempt["system"] for attempt in attempts} == {"celery"}
    found: dict[str, list[tuple[int, str]]] = {}
    for attempt in attempts:
        if attempt["task_id"] == "checkout.receipt":
            found.setdefault(attempt["run_id"], []).append((attempt["attempt"], attempt["status"]))
    assert any({(1, "failed"), (2, "failed")} <= set(tries) for tries in found.values())
    assert "completed" in {a["status"] for a in attempts if a["task_id"] == "report.render"}
    assert "checkout.receipt" in done.stdout
    assert "jo@example.com" not in done.stdout


def test_without_celery_it_says_what_to_install(tmp_path: Path) -> None:
    """Before anything is started."""
    program = (
        "import sys; sys.modules['celery'] = None; "
        f"sys.argv = ['spanledger', 'demo', '--with', 'celery', '--data', {str(tmp_path)!r}]; "
        "from service.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False,
        env=CLEAN, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "celery is not installed" in done.stderr
    assert ".[celery-demo]" in done.stderr
    assert not list(tmp_path.iterdir())

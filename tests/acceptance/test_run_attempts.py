"""What `spanledger run` did stands in a running service, as attempts."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.serving import Service, clean_environment, serving, until

pytestmark = pytest.mark.slow

RUN = [sys.executable, "-P", "-m", "service.cli.main", "run"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all."""
    with serving(tmp_path_factory.mktemp("run")) as it:
        yield it


def play(service: Service, folder: Path, task: str, *words: str) -> int:
    """Run a command in `folder` as a task of this id; its exit code."""
    environment = clean_environment({"SPANLEDGER_SDK_SPOOL": str(folder / "spool")})
    to = ["--url", f"http://{service.http}", "--task", task]
    return subprocess.run(
        [*RUN, *to, *words], cwd=folder, env=environment, timeout=60, capture_output=True,
        check=False,
    ).returncode  # fmt: skip


def attempts(service: Service, task: str, count: int) -> list[dict[str, Any]]:
    """The attempts of a task by number, once there are as many and each has ended: what was
    sent while one ran may be seen before its end, although both were acknowledged."""

    def found() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = service.ask(f"/api/v1/attempts?task={task}")["items"]
        return sorted(items, key=lambda item: item["attempt"])

    def ended() -> bool:
        items = found()
        return len(items) >= count and all(item["ended_ns"] is not None for item in items)

    until(ended)
    return found()


def test_each_try_is_an_attempt_of_one_run(service: Service, tmp_path: Path) -> None:
    """Numbered, in one trace, with the error of those that failed, each a retry of the last."""
    script = "echo x >> tries; n=$(wc -l < tries); echo working; echo try $n >&2; test $n -ge 3"
    began_ns = time.time_ns()
    options = ("--retries", "4", "--retry-delay", "0.2", "--run-id", "night 17")
    assert play(service, tmp_path, "backup", *options, "--", "sh", "-c", script) == 0
    ended_ns = time.time_ns()
    first, second, third = attempts(service, "backup", 3)
    assert [a["status"] for a in (first, second, third)] == ["failed", "failed", "completed"]
    assert {a["run_id"] for a in (first, second, third)} == {"night 17"}
    assert len({a["trace_id"] for a in (first, second, third)}) == 1
    assert (second["retry_of"], third["retry_of"]) == (first["attempt_id"], second["attempt_id"])
    assert {a["max_attempts"] for a in (first, second, third)} == {5}
    assert (first["error"]["type"], second["error"]["message"]) == ("exit.1", "exit code 1: try 2")
    assert began_ns < first["started_ns"] < first["ended_ns"] < second["started_ns"]
    assert third["ended_ns"] < ended_ns


@pytest.mark.parametrize(
    ("task", "options", "script", "code", "status", "kind"),
    [
        ("exits", (), "exit 9", 9, "failed", "exit.9"),
        ("killed", (), "kill -9 $$", 137, "failed", "SIGKILL"),
        ("slow", ("--timeout", "0.3"), "echo on it >&2; sleep 30", 124, "timed_out", "timeout"),
    ],
)
def test_the_end_of_a_command_is_that_of_its_attempt(
    service: Service,
    tmp_path: Path,
    task: str,
    options: tuple[str, ...],
    script: str,
    code: int,
    status: str,
    kind: str,
) -> None:
    """Its exit code, its signal, or that its time was over."""
    assert play(service, tmp_path, task, *options, "--", "sh", "-c", script) == code
    (attempt,) = attempts(service, task, 1)
    assert (attempt["status"], attempt["error"]["type"]) == (status, kind)


def test_one_that_is_stopped_is_cancelled_and_not_tried_again(
    service: Service, tmp_path: Path
) -> None:
    """Who stopped it did not want another try."""
    words = [*RUN, "--url", f"http://{service.http}", "--task", "stopped", "--retries", "3"]
    with subprocess.Popen(
        [*words, "--", "sh", "-c", "touch ready; sleep 30"], cwd=tmp_path, env=clean_environment()
    ) as process:
        until((tmp_path / "ready").exists)
        process.terminate()
        assert process.wait(30) == 143
    (attempt,) = attempts(service, "stopped", 1)
    assert (attempt["status"], attempt["error"]["type"]) == ("cancelled", "SIGTERM")


def test_a_command_that_is_not_there_is_a_failed_attempt(service: Service, tmp_path: Path) -> None:
    """With the reason."""
    assert play(service, tmp_path, "absent", "--", "no-such-command") == 127
    (attempt,) = attempts(service, "absent", 1)
    assert attempt["error"]["type"] == "FileNotFoundError"


def test_tries_of_other_processes_go_on_counting(service: Service, tmp_path: Path) -> None:
    """Where something else retries, such as cron or make: the run and the number are given."""
    for number in ("1", "2"):
        options = ("--run-id", "r1", "--attempt", number)
        assert play(service, tmp_path, "elsewhere", *options, "--", "false") == 1
    first, second = attempts(service, "elsewhere", 2)
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first["trace_id"] == second["trace_id"]
    assert second["retry_of"] == first["attempt_id"]


def test_spans_of_the_command_are_children_of_its_attempt(service: Service, tmp_path: Path) -> None:
    """It finds its trace in TRACEPARENT."""
    assert play(service, tmp_path, "traced", "--", "sh", "-c", "echo $TRACEPARENT > it") == 0
    (attempt,) = attempts(service, "traced", 1)
    version, trace, span, flags = (tmp_path / "it").read_text().strip().split("-")
    assert (version, trace, int(flags, 16) & 1) == ("00", attempt["trace_id"], 1)
    assert span == attempt["span_id"]


def test_what_was_done_while_no_service_was_there_is_sent_by_the_next_run(tmp_path: Path) -> None:
    """In the meantime it lies on disk."""
    port = str(free_port())
    environment = clean_environment({"SPANLEDGER_SDK_SPOOL": str(tmp_path / "spool")})
    words = [*RUN, "--url", f"http://127.0.0.1:{port}", "--task"]
    subprocess.run([*words, "alone", "--", "true"], env=environment, timeout=60, check=True)
    with serving(tmp_path, "--http-port", port) as later:
        subprocess.run([*words, "later", "--", "true"], env=environment, timeout=60, check=True)
        assert attempts(later, "alone", 1)[0]["status"] == "completed"

"""Running the programs: each in its environment and in a session of its own."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from tests.orchestrators.environments import python_of
from tests.orchestrators.programs import truth
from tests.serving import clean_environment, until

PROGRAMS: Final = Path(__file__).with_name("programs")
START_S: Final = 120.0
RUN_S: Final = 150.0
STOP_S: Final = 20.0
SEND_EVERY_MS: Final = "200"


class ProgramFailed(RuntimeError):
    """A program ended in an unexpected way; the message carries the end of what it printed."""


@dataclass(frozen=True)
class Play:
    """A stage for the programs of one orchestrator: they work in `folder`, and send to `endpoint`,
    `host:port` of OTLP over HTTP."""

    orchestrator: str
    folder: Path
    endpoint: str
    environment: Mapping[str, str]

    @property
    def truth(self) -> list[truth.Try]:
        """What the programs say they did, so far."""
        return truth.read(self.folder / "truth.jsonl")

    def run(self, *arguments: str) -> None:
        """Run a program to its end.

        Raises:
            ProgramFailed: it failed, or took too long.
        """
        with self.running(*arguments) as process:
            try:
                code = process.wait(RUN_S)
            except subprocess.TimeoutExpired:
                code = None
            if code != 0:
                raise ProgramFailed(f"{arguments}: exit code {code}\n{self.said(arguments)}")

    @contextlib.contextmanager
    def working(self, *arguments: str, ready: str) -> Iterator[None]:
        """A worker, ready when it has printed `ready`; told to end when the block ends."""
        with self.running(*arguments) as process:
            until(lambda: process.poll() is not None or ready in self.said(arguments), START_S)
            if process.poll() is not None:
                raise ProgramFailed(f"{arguments}:\n{self.said(arguments)}")
            yield

    @contextlib.contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A Python process of the orchestrator's environment; its whole session is ended."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._output(arguments).open("wb") as output:
            process = subprocess.Popen(
                [python_of(self.orchestrator), *arguments], cwd=self.folder, env=self._variables(),
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            _end(process)

    def said(self, arguments: tuple[str, ...]) -> str:
        """The end of what such a process printed."""
        return self._output(arguments).read_text(errors="replace")[-6000:]

    def _output(self, arguments: tuple[str, ...]) -> Path:
        words = "-".join(Path(one).stem for one in arguments if not one.startswith("-"))
        return self.folder / f"{words[:60]}.log"

    def _variables(self) -> dict[str, str]:
        python = Path(python_of(self.orchestrator))
        return clean_environment() | {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROGRAMS),
            "PYTHONUNBUFFERED": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self.endpoint}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_BSP_SCHEDULE_DELAY": SEND_EVERY_MS,
            "OTEL_SERVICE_NAME": self.orchestrator,
            truth.FILE: str(self.folder / "truth.jsonl"),
            **self.environment,
        }


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end in order; what is left of its session, or all of it in the end, is killed.

    Not of its group alone: Airflow gives each task a group of its own.
    """
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
    while left := _of_session(process.pid):  # again: one may have begun another meanwhile
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        time.sleep(0.01)
    process.wait()


def _of_session(session: int) -> list[int]:
    """The processes of a session that have not ended."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            ours = os.getsid(pid) == session
            if ours and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def settled(play: Play, tries: int, killed: int) -> list[truth.Try]:
    """The truth, once it is whole.

    Args:
        tries: how many there are to be; one more is a fault, and is told.
        killed: of how many nobody lives to tell the end.
    """

    def ended() -> int:
        return sum(bool(one.outcome) for one in play.truth)

    until(lambda: len(play.truth) >= tries and ended() >= tries - killed, RUN_S)
    found = play.truth
    assert (len(found), ended()) == (tries, tries - killed)
    return found

"""One child process as its supervisor sees it: started, ready, told to stop, ended."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final

import msgspec

from service.telemetry.samples import Scrape

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 30.0
"""A child that lived this long starts again with the first pause."""


@dataclass(slots=True)
class Failure:
    """Why a child could not start: the name of an error class of ours, and its message."""

    kind: str
    message: str


@dataclass(slots=True)
class Child:
    """A process of one instance, again and again. All its methods belong to one thread."""

    instance: str
    ports: dict[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    metrics: Scrape | None = None
    """What the last process counted, if it could tell when it ended."""
    ready: bool = False
    restarts: int = 0
    due_s: float | None = None
    """When it is to be started again, on the monotonic clock."""
    _process: "subprocess.Popen[bytes] | None" = None
    _pause_s: float = FIRST_PAUSE_S
    _started_s: float = 0.0
    _heard: bytes = b""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, settings: bytes, environment: Mapping[str, str]) -> IO[bytes]:
        """Start the process; returns the stream of its reports, to be watched for reading."""
        self.ready, self.failure, self.metrics, self.due_s = False, None, None, None
        self._heard = b""
        self._started_s = time.monotonic()
        # -P: no folder of the working directory may stand in for one of our packages.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "service.roles", self.instance],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            bufsize=0,
            process_group=0,  # Ctrl-C is the supervisor's: it says in which order they end
        )
        self._say(settings + b"\n")
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        return self._process.stdout

    def hear(self) -> bool:
        """Take in what the process reports; False once it hung up."""
        assert self._process is not None
        assert self._process.stdout is not None
        data = self._process.stdout.read(65536)
        if data is None:
            return not self.ended  # nothing yet
        self._heard += data
        while b"\n" in self._heard:
            line, _, self._heard = self._heard.partition(b"\n")
            self._note(json.loads(line))
        return bool(data)

    def _note(self, message: dict[str, Any]) -> None:
        if "ready" in message:
            self.ready = True
            self.ports = message["ready"]
        elif "failed" in message:
            self.failure = Failure(**message["failed"])
        elif "metrics" in message:
            self.metrics = msgspec.convert(message["metrics"], Scrape)

    def ask_stop(self, within_s: float) -> None:
        """Tell the process to finish within `within_s` seconds."""
        self._say(f"stop {within_s:.2f}\n".encode())

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()

    @property
    def ended(self) -> bool:
        """Whether a process was started and is over."""
        return self._process is not None and self._process.poll() is not None

    def bury(self) -> int:
        """Take in the last words of a process that ended; returns its exit code."""
        assert self._process is not None
        process = self._process
        while self.hear():
            pass
        self._process, self.ready = None, False
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()
        return process.returncode

    def schedule(self) -> float:
        """Plan the next start, later after each short life; returns the pause in seconds."""
        if time.monotonic() - self._started_s > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, LONGEST_PAUSE_S)
        self.due_s = time.monotonic() + pause_s
        self.restarts += 1
        return pause_s

    def _say(self, words: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it is gone; the end of its reports tells
            self._process.stdin.write(words)

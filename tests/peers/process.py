"""Running one peer: started with a config file, ready when its ports answer, ended by its id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

START_S = 90.0
STOP_S = 15.0
"""Jaeger waits 10 s for its query server when it ends in order."""

started: list["Peer"] = []
"""Those that the test which runs has started; what they printed is shown if it fails."""


class PeerFailed(RuntimeError):
    """A peer did not start, or ended by itself; the message carries the end of its output."""


def printed() -> list[tuple[str, str]]:
    """The output file and the last output of each peer that was started."""
    return [(str(peer.output), peer.said()) for peer in started]


class Peer:
    """One peer process. Restarting keeps its ports and, where it has any, its storage."""

    def __init__(self, binary: Path, config: str, folder: Path, ports: list[int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.output = folder / "output.log"
        self._command = [str(binary), "--config", str(folder / "config.yaml")]
        self._ports = ports
        self._environment: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "config.yaml").write_text(config)

    @property
    def pid(self) -> int:
        """The process id; the peer must have been started."""
        assert self._process is not None
        return self._process.pid

    def start(self, **environment: str) -> Self:
        """Start and wait until every port accepts a connection."""
        self._environment |= environment
        if self not in started:
            started.append(self)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdout=output, stderr=output, cwd=self.folder,
                env=os.environ | self._environment,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        for port in self._ports:
            while not _accepts(port):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise PeerFailed(f"{self._command[0]} did not start:\n{self.said()}")
                time.sleep(0.05)
        return self

    def said(self) -> str:
        """The end of what it printed."""
        return self.output.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """End it in order; killed if it does not end in time."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        if process.poll() is None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()  # nothing of it is wanted any more, and Jaeger takes 10 s to end in order


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False

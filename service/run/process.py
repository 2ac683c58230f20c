"""One process of a command, from its start to its end.

Standard input and output are ours, untouched, and so is standard error unless its end is wanted.
"""

import contextlib
import errno
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from service.run.signals import Signals
from service.run.stderr import Copy

NOT_EXECUTABLE: Final = 126
NOT_FOUND: Final = 127
TIMED_OUT: Final = 124
_LOOK_EVERY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Command:
    """What is run: `words` are the program and its arguments, as the bytes that we were given."""

    words: Sequence[bytes]
    umask: int
    environment: Mapping[bytes, bytes]
    stderr_lines: int
    """How many lines of the end of its standard error are kept; 0 leaves that one untouched."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: `code` as `subprocess` gives it, a negative one is a signal."""

    code: int
    stderr: str = ""
    timed_out: bool = False
    could_not_start: OSError | None = None

    @property
    def exit_code(self) -> int:
        """What a shell would say of it; 124 if its time was over, as of `timeout`."""
        if self.timed_out:
            return TIMED_OUT
        return self.code if self.code >= 0 else 128 - self.code


def run(command: Command, signals: Signals, more: Mapping[bytes, bytes]) -> End:
    """Run it once; `more` is added to its environment."""
    copy = Copy() if command.stderr_lines else None
    signals.expect()
    try:
        process = _start(command, copy, signals, more)
    except OSError as exc:
        if copy is not None:
            copy.cancel()
        return End(NOT_FOUND if exc.errno == errno.ENOENT else NOT_EXECUTABLE, "", False, exc)
    if copy is not None:
        copy.start()
    timed_out = signals.wait_for(process, None if copy is None else copy.resize)
    if timed_out and not signals.shared:
        _clear(process.pid, signals.kill_after_s)
    if copy is None:
        return End(process.returncode, "", timed_out)
    copy.finish()
    return End(process.returncode, copy.tail.lines(command.stderr_lines), timed_out)


def _start(
    command: Command, copy: Copy | None, signals: Signals, more: Mapping[bytes, bytes]
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        list(command.words),
        stderr=None if copy is None else copy.descriptor,
        env={**command.environment, **more},
        umask=command.umask,
        process_group=None if signals.shared else 0,
    )


def _clear(group: int, within_s: float) -> None:
    """Wait for what a command left in its group; kill it if it takes longer."""
    until_s = time.monotonic() + within_s
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < until_s:
            os.killpg(group, 0)
            time.sleep(_LOOK_EVERY_S)
        os.killpg(group, signal.SIGKILL)

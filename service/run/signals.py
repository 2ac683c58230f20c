"""Signals while a command runs: passed on to it; and its time limit, which ends in some.

Without a terminal the command leads a process group of its own, which gets every signal that we
get. In the foreground of a terminal it stays in ours, so that keys reach it as without us: Ctrl-C
and Ctrl-\\ are sent to it by the terminal, and Ctrl-Z stops it and us together. A signal that
was ignored when we were started, as by `nohup`, stays so for us and for the command.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, Self

STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""After one of these a command that fails is not tried again."""
OTHERS: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
_OF_KEYS: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH)


def in_foreground() -> bool:
    """Whether a terminal sends its keys to the process group that we are in."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class Signals:
    """Passes on signals to the process that is waited for; a context manager for the main thread.

    Args:
        timeout_s: how long a process may run before SIGTERM; None for ever.
        kill_after_s: how long after that, if it is still there, before SIGKILL.
    """

    def __init__(self, timeout_s: float | None, kill_after_s: float) -> None:
        self.shared = in_foreground()
        """Whether commands stay in our process group."""
        self.stop = 0
        """The first signal that told us to stop; 0 if there was none."""
        self.timeout_s = timeout_s
        self.kill_after_s = kill_after_s
        self._process: subprocess.Popen[bytes] | None = None
        self._resize: Callable[[], None] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    @property
    def stop_name(self) -> str:
        """Of that signal, such as SIGTERM."""
        return signal.Signals(self.stop).name

    def __enter__(self) -> Self:
        # A byte in this pipe for each signal: one that comes just before a wait ends that wait.
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (*STOPS, *OTHERS):
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._pass_on)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._woken)
        os.close(self._waker)

    def expect(self) -> None:
        """A process is about to be started: signals are kept for it until it is waited for."""
        self._early = [self.stop] if self.stop else []

    def wait_for(
        self, process: "subprocess.Popen[bytes]", resize: Callable[[], None] | None
    ) -> bool:
        """Wait until it has ended, and pass on signals; whether its time was over.

        Args:
            resize: called when the terminal has another size.
        """
        self._process, self._resize = process, resize
        for number in self._early:
            self._send(number)
        limits = [] if self.timeout_s is None else [self.timeout_s, self.kill_after_s]
        timed_out = False
        while limits and not self._pause(limits[0], lambda: process.poll() is not None):
            self._send(signal.SIGKILL if timed_out else signal.SIGTERM)
            self._send(signal.SIGCONT)  # one that was stopped could not end
            timed_out = True
            del limits[0]
        self._pause(None, lambda: process.poll() is not None)
        self._process = self._resize = None
        return timed_out

    def wait_to_try(self, delay_s: float) -> bool:
        """Wait for the next try; False as soon as a signal has told us to stop."""
        return not self._pause(delay_s, lambda: bool(self.stop))

    def _pause(self, within_s: float | None, over: Callable[[], bool]) -> bool:
        """Wait until `over`, which each signal may make true; False if that takes too long."""
        until_s = None if within_s is None else time.monotonic() + within_s
        while not over():
            left_s = None if until_s is None else until_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return False
            select.select((self._woken,), (), (), left_s)
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        return True

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if number in STOPS and not self.stop:
            self.stop = number
        if number == signal.SIGWINCH and self._resize is not None:
            self._resize()
        if not (self.shared and number in _OF_KEYS):
            self._send(number)

    def _send(self, number: int) -> None:
        process = self._process
        if process is None:
            self._early.append(number)
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self.shared:
                os.kill(process.pid, number)
            else:
                os.killpg(process.pid, number)

"""Lending the terminal to a command, on a real pseudo-terminal with a shell that leads it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.terminal import terminal

FOREGROUND = Path(__file__).parents[2] / ".ci" / "foreground.py"
COMMAND = (
    "import os, sys, time\n"
    "try:\n"
    "    print('by', os.getppid(), 'group', os.getpgrp() == os.getpid(), "
    "'front', os.tcgetpgrp(0) == os.getpgrp(), flush=True)\n"
    "    time.sleep(20)\nexcept KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
)


def script(before: str = "", command: str = COMMAND) -> str:
    """A shell's words that run the command in the way of `make demo`."""
    return f'{before} "{sys.executable}" "{FOREGROUND}" "{sys.executable}" -c "{command}"'


def test_in_front_only_the_command_is_interrupted() -> None:
    """It has a group of its own and the terminal; Ctrl-C ends it in its way, and it alone."""
    with terminal(f"{script()}; echo after $?") as it:
        it.read_until("group True front True")
        it.press(b"\x1a")  # Ctrl-Z stops nothing
        it.press(b"\x03")
        assert "interrupted" in it.read_until("after 0")


@pytest.mark.parametrize("before", ["timeout 15", "setsid -w", "nohup", "env"])
def test_it_runs_wherever_it_is_started(before: str) -> None:
    """In a group that is not in front, in a session without terminal, it starts all the same."""
    command = COMMAND.replace("os.tcgetpgrp(0) == os.getpgrp()", "None").replace("20", "0")
    with terminal(f"({script(before, command)}) 2>&1 | cat; echo over") as it:
        assert "group" in it.read_until("over")


def test_in_the_background_of_a_shell() -> None:
    """With `&` it neither stops nor takes the terminal."""
    with terminal(f"set -m; {script()} & wait") as it:
        it.read_until("front False")


def test_it_is_ended_with_what_runs_it() -> None:
    """SIGTERM, as `make` hands it on, reaches the command, and its end is told."""
    with terminal(f"{script()}; echo after $?") as it:
        wrapper = it.read_until("front True").split()[1]
        os.kill(int(wrapper), signal.SIGTERM)
        it.read_until("after 143")

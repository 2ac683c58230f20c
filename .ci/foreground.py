"""Runs a command so that Ctrl-C ends it, and not `make` around it with an error.

`python .ci/foreground.py COMMAND …` in the foreground of a terminal gives the command a process
group of its own and lends it the terminal until it ends. Anywhere else (`timeout`, `setsid`, `&`,
CI) it becomes the command: a group that is not in the foreground must not ask for the terminal,
the system would stop it without a word (a shell's `set -m` waits so for ever).
"""

import contextlib
import os
import signal
import subprocess
import sys

TERMINAL = 0
LOOK_S = 0.5


def main() -> int:
    """Run the command; its exit code, 128 and more if a signal ended it."""
    command = sys.argv[1:]
    if not in_foreground():
        os.execvp(command[0], command)
    # Whoever lends the terminal is in the background meanwhile; Ctrl-Z would stop the command
    # alone, and nobody would be there to take the terminal back.
    for number in (signal.SIGTTOU, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    with subprocess.Popen(command, process_group=0) as child:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: child.send_signal(number))
        os.tcsetpgrp(TERMINAL, child.pid)
        try:
            code = wait(child)
        finally:
            with contextlib.suppress(OSError):  # the terminal may be gone
                os.tcsetpgrp(TERMINAL, os.getpgrp())
    return code if code >= 0 else 128 - code


def in_foreground() -> bool:
    """Whether standard input is our terminal, and our process group has it now."""
    try:
        return os.tcgetpgrp(TERMINAL) == os.getpgrp()
    except OSError:  # no terminal, or that of another session
        return False


def wait(child: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of `child`; one that outlives `make`, which was killed, is told to stop."""
    parent = os.getppid()
    while True:
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.terminate()
        except KeyboardInterrupt:
            child.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())

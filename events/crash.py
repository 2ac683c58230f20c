"""Named crash points, so that a test can kill a process at exactly one of them.

With `SPANLEDGER_CRASH_AT=name` in the environment the process sends itself SIGKILL when it
reaches that point; otherwise a point costs one comparison.
"""

import os
import signal

_crash_at = os.environ.get("SPANLEDGER_CRASH_AT", "")


def crash_at(point: str) -> None:
    """Die here if this point was asked for."""
    if _crash_at and _crash_at == point:
        os.kill(os.getpid(), signal.SIGKILL)

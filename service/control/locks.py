"""One process a role: a lock for the life of the process, released by the kernel with it.

A lock, not a pid, says whether a role of a data folder runs: pids are used again, and a killed
process leaves its files behind.
"""

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from events.errors import CommitFailed, Unavailable
from events.private import make_private

# A moment's probe by `is_held` must not turn a starting role away.
_PATIENCE_S: Final = 0.3
_PAUSE_S: Final = 0.02


class AlreadyRunning(Unavailable):
    """Another process has this role on this data folder."""


class RoleLock:
    """`flock` on `DIR/locks/<role>.lock`; holds from entry to exit, or from `acquire`.

    Args:
        wait_s: how long to wait for a holder that is about to end.
    """

    def __init__(self, data: Path, role: str, *, wait_s: float = _PATIENCE_S) -> None:
        self._data = data
        self._role = role
        self._wait_s = wait_s
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            AlreadyRunning: another process, or another lock of this one, holds it.
            CommitFailed: the data folder cannot be written.
        """
        deadline_s = time.monotonic() + self._wait_s
        descriptor = _open(self._data, self._role)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() < deadline_s:
                    time.sleep(_PAUSE_S)
                    continue
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                by = f" (process {holder})" if holder else ""
                raise AlreadyRunning(f"a {self._role} already runs on {self._data}{by}") from exc
        os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):  # a full disk; the number is only for messages
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; may be called twice. The file stays: removing it would race."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.release()


def is_held(data: Path, role: str) -> bool:
    """Whether some process has this role on this data folder now."""
    try:
        descriptor = os.open(_path(data, role), os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _path(data: Path, role: str) -> Path:
    return data / "locks" / f"{role}.lock"


def _open(data: Path, role: str) -> int:
    path = _path(data, role)
    try:
        make_private(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise CommitFailed(f"the data folder {data} cannot be written: {exc.strerror}") from exc

"""What could not be sent, on disk: bounded, shared by processes, safe to kill at any time.

A folder of segment files for one endpoint and tenant. A process appends to a segment of its own
until it is full or is to be sent; whoever holds a segment's lock appends to it or sends it. The
lock ends with its holder, so what a killed process left is found by the next one. A record has
its length and a checksum before it; a torn end is passed over. Once all records of a segment were
taken, it is deleted; a kill before that sends some twice, which the service recognises.

Each append is synced: it survives the end of the process at once, and a power cut thereafter.
"""

import contextlib
import hashlib
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from spanledger_sdk.guard import complain
from spanledger_sdk.handover.encode import Body, Signal

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

SEGMENT_BYTES: Final = 1 << 20
SUFFIX: Final = ".seg"
_HEAD: Final = struct.Struct("<4sBIII")  # magic, signal, count, length, checksum
_MAGIC: Final = b"SLS1"
_SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
DROPPED: Final = "spans and records were dropped: the spool is full, the oldest go first"
UNWRITABLE: Final = "the spool cannot be written, so what cannot be sent waits in memory"


def supported() -> bool:
    """Whether this platform has the locks that a spool needs."""
    return fcntl is not None


def folder_of(spools: Path, endpoint: str, tenant: str) -> Path:
    """The spool of an endpoint and tenant; what waits for one never goes to another."""
    digest = hashlib.sha256("\0".join((endpoint.rstrip("/"), tenant)).encode()).hexdigest()
    return spools / digest[:16]


class Spool:
    """One process's way to a spool. May be called from several threads.

    Args:
        folder: made, for this user alone, when something is first written.
        limit_bytes: of all segments together; beyond it the oldest are deleted.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._segment_bytes = max(min(SEGMENT_BYTES, limit_bytes // 4), 1)
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0

    def append(self, body: Body) -> bool:
        """Keep it; False, and said, if that cannot be done."""
        with self._lock:
            try:
                self._append(body)
            except OSError as exc:
                complain(UNWRITABLE, exc)
                self._leave()
                return False
        return True

    def _append(self, body: Body) -> None:
        head = _HEAD.pack(
            _MAGIC, _SIGNALS.index(body.signal), body.items, len(body.data), zlib.crc32(body.data)
        )
        file = self._open()
        try:
            _write(file, head + body.data)
            os.fsync(file)
        except OSError:  # a full disk: what is half written would only take more of it
            self._take_back(file)
            raise
        self._size += len(head) + len(body.data)
        if self._size >= self._segment_bytes:
            self._leave()
        self._bound()

    def _open(self) -> int:
        """The own segment; a new one if there is none, or another process deleted it."""
        if self._file is not None and not os.fstat(self._file).st_nlink:
            self._leave()  # it was the oldest of a full spool
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._begin()
        assert self._file is not None
        return self._file

    def _begin(self) -> None:
        name = f"{time.time_ns():020d}-{os.getpid()}-{os.urandom(4).hex()}"
        path, unlocked = self._folder / f"{name}{SUFFIX}", self._folder / name
        file = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlocked.rename(path)  # once it is locked: nobody takes an empty one
        except OSError:
            os.close(file)
            unlocked.unlink(missing_ok=True)
            raise
        self._file, self._path, self._size = file, path, 0

    def _take_back(self, file: int) -> None:
        """Cut off what was written last; a segment with nothing else in it is deleted."""
        with contextlib.suppress(OSError):
            os.ftruncate(file, self._size)
            if not self._size and self._path is not None:
                self._path.unlink(missing_ok=True)

    def _leave(self) -> None:
        """End the own segment: from now on anybody may send it."""
        file, self._file, self._path = self._file, None, None
        if file is not None:
            os.close(file)

    def _bound(self) -> None:
        sizes = [(path, _size_of(path)) for path in self._segments()]
        excess = sum(size for _, size in sizes) - self._limit_bytes
        for path, size in sizes:
            if excess <= 0:
                return
            if path == self._path:
                self._leave()
            dropped = sum(body.items for body in _read(path))
            path.unlink(missing_ok=True)
            complain(DROPPED, "", dropped)
            excess -= size

    def _segments(self) -> list[Path]:
        """Oldest first."""
        try:
            names = sorted(name for name in os.listdir(self._folder) if name.endswith(SUFFIX))
        except OSError:  # nothing was written yet, or it cannot be
            return []
        return [self._folder / name for name in names]

    def waiting(self) -> bool:
        """Whether anything waits, of any process."""
        return bool(self._segments())

    def count(self) -> int:
        """How many spans and records wait."""
        return sum(body.items for path in self._segments() for body in _read(path))

    def send(self, take: Callable[[Body], bool]) -> bool:
        """Give the oldest segment that nobody holds to `take`, and delete it.

        Args:
            take: returns whether the body is dealt with; False ends it, and the segment stays.

        Returns:
            Whether there was a segment, and all of it is gone.
        """
        with self._lock:
            self._leave()
        for path in self._segments():
            try:
                file = os.open(path, os.O_RDONLY)
            except OSError:  # another process was faster
                continue
            try:
                if not _locked(file):
                    continue
                if not all(take(body) for body in _read(path)):
                    return False
                path.unlink(missing_ok=True)
                return True
            finally:
                os.close(file)
        return False

    def after_fork(self) -> None:
        """In a child: the open segment stays its parent's; the lock may be held by nobody."""
        self._lock = threading.Lock()
        self._leave()  # closes this process's handle; the parent's keeps the lock

    def close(self) -> None:
        """Leave the own segment to whoever comes next."""
        with self._lock:
            self._leave()


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _size_of(path: Path) -> int:
    """In bytes; none of a segment that another process has sent meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # its process still appends to it, or sends it
        return False
    return os.fstat(file).st_nlink > 0  # else it was sent and deleted before we had the lock


def _read(path: Path) -> Iterator[Body]:
    """The whole records of a segment; what is torn or damaged ends it."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    at = 0
    while at + _HEAD.size <= len(data):
        magic, signal, count, length, checksum = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        body = data[at : at + length]
        at += length
        if len(body) < length:  # torn: its writer ended in the middle
            return
        if magic != _MAGIC or signal >= len(_SIGNALS) or zlib.crc32(body) != checksum:
            break
        yield Body(_SIGNALS[signal], count, body)
    else:
        return
    complain("a damaged part of the spool was passed over", path.name)

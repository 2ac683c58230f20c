"""Metrics of one process, held in memory and copied into files that others read.

The files are those of prometheus_client's multiprocess mode, `<kind>_<pid>.db` of one folder, and
its collector reads them. Its own writer maps them into memory: on a full disk the first touch of
a page ends the process by SIGBUS. Here they are written like any file, by a thread: a count costs
no system call, a write that fails is made up for later, and a reader sees what is at most a
moment old. A killed process loses that moment.
"""

import atexit
import os
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from prometheus_client.mmap_dict import MmapedDict, mmap_key

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_FLUSH_S: Final = 0.1
_RETRY_S: Final = 1.0
_RESERVED_BYTES: Final = 16384
"""Taken from the disk at once: about a hundred label sets, still shown on a disk that got full."""
_used = struct.Struct("=i4x")
_length = struct.Struct("=i")
_numbers = struct.Struct("=dd")


class MetricFile:
    """The samples of one kind, each with a value and the time in seconds of its last `set`.

    Not safe for threads, but for `write`.

    Args:
        path: written anew by the first `write`; what it holds by then is gone on with, unless it
            holds gauges, which only a living process can vouch for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._places: dict[str, int] = {}
        self._content = bytearray(_used.size)
        self.changed = True
        if not path.name.startswith("gauge"):
            for key, value in _samples(path):
                self.write_sample(self.place_of(key), value)

    def place_of(self, key: str) -> int:
        """Where the sample of `key` is; a new one is 0."""
        if key not in self._places:
            encoded = key.encode()
            padding = b" " * (8 - (len(encoded) + _length.size) % 8)
            self._content += _length.pack(len(encoded)) + encoded + padding
            self._places[key] = len(self._content)
            self._content += _numbers.pack(0.0, 0.0)
            _used.pack_into(self._content, 0, len(self._content))
            self.changed = True
        return self._places[key]

    def read_sample(self, place: int) -> float:
        """The value at `place`."""
        value: float = _numbers.unpack_from(self._content, place)[0]
        return value

    def write_sample(self, place: int, value: float, time_s: float = 0.0) -> None:
        """Change the value at `place`."""
        _numbers.pack_into(self._content, place, value, time_s)
        self.changed = True

    def taken(self) -> bytes:
        """What is to be written now, which from then on counts as written."""
        self.changed = False
        return bytes(self._content)

    def write(self, content: bytes) -> None:
        """Bring the file up to date.

        Raises:
            OSError: it could not; the file holds older samples, or some of these.
        """
        if self._descriptor is None:
            self._descriptor = _make(self._path, content)
            return
        # A reader goes as far as the header says, so the header comes last.
        _write_all(self._descriptor, content[_used.size :], _used.size)
        _write_all(self._descriptor, content[: _used.size], 0)


def _make(path: Path, content: bytes) -> int:
    """A file that is there whole or not at all: readers do not get along with an empty one."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # The length first: zeros are what a power cut may leave of the rest, and mean no samples.
        os.ftruncate(descriptor, _RESERVED_BYTES)
        _write_all(descriptor, content.ljust(_RESERVED_BYTES, b"\0"), 0)
        fresh.rename(path)
    except OSError:
        os.close(descriptor)
        fresh.unlink(missing_ok=True)
        raise
    return descriptor


def _write_all(descriptor: int, content: bytes, at: int) -> None:
    while content:
        count = os.pwrite(descriptor, content, at)
        content, at = content[count:], at + count


def _samples(path: Path) -> Iterator[tuple[str, float]]:
    """The values that another process of this number left."""
    try:
        for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
            yield key, value
    except (OSError, RuntimeError, ValueError, struct.error):
        return  # none, or no more that can be read


class MetricFiles:
    """All samples of this process, and the thread that writes them into `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, MetricFile] = {}
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()
        self.lock = threading.Lock()

    def file_of(self, kind: str) -> MetricFile:
        """The file of a kind of metrics, such as `counter`; the caller holds `lock`."""
        if kind not in self._files:
            self._files[kind] = MetricFile(self._folder / f"{kind}_{os.getpid()}.db")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
            self._thread.start()
            atexit.register(self.flush)
        return self._files[kind]

    def note(self) -> None:
        """Hear that something changed."""
        if not self._changed.is_set():  # cheaper than to set it again
            self._changed.set()

    def flush(self) -> bool:
        """Write what changed; False if some of it could not be written and waits."""
        with self._writing:
            with self.lock:
                changed = [(file, file.taken()) for file in self._files.values() if file.changed]
            written = [self._written(file, content) for file, content in changed]
            return all(written)

    def _written(self, file: MetricFile, content: bytes) -> bool:
        try:
            file.write(content)
        except OSError:  # no space, most likely: whoever looks after the disk hears it elsewhere
            file.changed = True
            return False
        return True

    def _run(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self.flush():
                time.sleep(_FLUSH_S)
            else:
                self._changed.set()
                time.sleep(_RETRY_S)


def value_class(files: MetricFiles) -> type:
    """What stands for one number in prometheus_client, for metrics that are shared by `files`."""

    class SharedValue:
        """One sample; safe for threads. The names and arguments are prometheus_client's."""

        _multiprocess = True

        def __init__(
            self, typ: str, metric_name: str, name: str, labelnames: Sequence[str],
            labelvalues: Sequence[str], help_text: str, multiprocess_mode: str = "", **_: Any,
        ) -> None:  # fmt: skip
            kind = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
            key = mmap_key(metric_name, name, list(labelnames), list(labelvalues), help_text)
            with files.lock:
                self._file = files.file_of(kind)
                self._place = self._file.place_of(key)
            files.note()

        def inc(self, amount: float) -> None:
            with files.lock:
                value = self._file.read_sample(self._place) + amount
                self._file.write_sample(self._place, value)
            files.note()

        def set(self, value: float, timestamp: float | None = None) -> None:
            with files.lock:
                self._file.write_sample(self._place, value, timestamp or 0.0)
            files.note()

        def get(self) -> float:
            with files.lock:
                return self._file.read_sample(self._place)

        def set_exemplar(self, exemplar: Any) -> None:
            """Exemplars are not shared."""

        def get_exemplar(self) -> None:
            return None

    return SharedValue

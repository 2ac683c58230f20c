"""A disk that is full, read-only or failing: refused with a retryable error, and no harm done.

The same request sent again afterwards is stored once and is not taken for a duplicate.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from events.errors import CommitFailed
from events.log.chain import verify
from events.log.door import GroupDoor
from events.log.reader import open_reader
from tests.acceptance.appender import SPANS
from tests.events import make_batch, make_span


def _holds(data: Path, count: int) -> None:
    """The log holds exactly `count` different events and its chain is whole."""
    reader = open_reader(data)
    reader.check_head()
    for _ in verify(reader):
        pass
    ids, after = [], 0
    while (page := reader.read(0, after)).count:
        ids += [event.event_id for event in page.recorded()]
        after = page.through
    reader.close()
    assert len(ids) == count
    assert len(set(ids)) == count


@contextmanager
def _files_limited(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow past a size: a write beyond it fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_commit_is_retried_and_stored_once(tmp_path: Path) -> None:
    """After a write that failed, the same batch counts as new and is stored once."""
    door = GroupDoor(tmp_path)
    door.append(make_batch([make_span()]))
    batch = make_batch([make_span(attributes={"blob": bytes(range(256)) * 40}) for _ in range(20)])
    wal_bytes = (tmp_path / "ledger.db-wal").stat().st_size
    with _files_limited(wal_bytes + 1000):
        for _ in range(3):
            with pytest.raises(CommitFailed, match=r"could not be written|cannot be opened"):
                door.append(batch)
    again = door.append(batch)
    assert (again.stored, again.duplicates) == (20, 0)
    assert door.append(batch).duplicates == 20
    door.close()
    _holds(tmp_path, 21)


def test_one_failed_commit_fails_every_batch_of_its_group_and_no_other(tmp_path: Path) -> None:
    """Batches waiting together fail together; all of them can be sent again."""
    door = GroupDoor(tmp_path)
    door.append(make_batch([make_span()]))
    batches = [make_batch([make_span(attributes={"b": bytes(3000)})]) for _ in range(8)]
    with _files_limited((tmp_path / "ledger.db-wal").stat().st_size + 100):
        futures = [door.append_async(batch) for batch in batches]
        assert all(isinstance(f.exception(30), CommitFailed) for f in futures)
    assert [door.append(batch).stored for batch in batches] == [1] * 8
    door.close()
    _holds(tmp_path, 9)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("fdatasync", "12"), ("fdatasync", "15+9"), ("fdatasync", "31+2"),
        ("pwrite64", "60"), ("pwrite64", "60..64"), ("pwrite64", "80+31"),
        ("fsync", "3+4"),
    ],
)  # fmt: skip
def test_io_errors_lose_and_double_nothing(tmp_path: Path, call: str, when: str) -> None:
    """With syncs or writes failing (EIO), again and again, every batch is there once."""
    data = tmp_path / "data"
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
         "-e", f"inject={call}:error=EIO:when={when}",
         sys.executable, "-m", "tests.acceptance.appender", str(data), "60"],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    acknowledged = [line for line in done.stdout.splitlines() if line.startswith("ack")]
    assert len(acknowledged) == 60
    _holds(data, 60 * SPANS)


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own; skipped where this user may not mount one."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(descriptor, bytes(4096)):
            pass
    os.close(descriptor)


def test_a_full_disk_refuses_and_recovers_by_itself(tmp_path: Path) -> None:
    """With no space left appends fail as retryable; when space returns they work again."""
    with _small_disk(tmp_path / "disk", "6m") as disk:
        door = GroupDoor(disk / "data")
        ballast = disk / "ballast"
        door.append(make_batch([make_span()]))
        _fill(ballast)
        batch = make_batch([make_span(attributes={"b": random.randbytes(9000)}) for _ in range(40)])
        for _ in range(3):
            with pytest.raises(CommitFailed):
                door.append(batch)
        ballast.unlink()
        held = door.append(batch)
        assert held.stored == 40
        door.close()
        _holds(disk / "data", held.through)


def test_a_read_only_disk_refuses_and_recovers_by_itself(tmp_path: Path) -> None:
    """Mounted read-only, the log refuses as retryable and harms nothing."""
    with _small_disk(tmp_path / "disk", "8m") as disk:
        door = GroupDoor(disk / "data")
        door.append(make_batch([make_span()]))
        # Open files keep a disk from being remounted read-only, as they would in life; a bind
        # mount of the folder over itself is read-only at once.
        data = str(disk / "data")
        subprocess.run(["mount", "--bind", data, data], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", data], check=True)
        batch = make_batch([make_span()])
        door._writer._shut()  # as after any failed commit: the file is opened again
        try:
            with pytest.raises(CommitFailed):
                door.append(batch)
        finally:
            subprocess.run(["umount", "-l", data], check=True)
        assert door.append(batch).stored == 1
        door.close()
        _holds(disk / "data", 2)

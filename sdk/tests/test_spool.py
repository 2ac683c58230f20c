"""The spool: what is kept, what is dropped, and what a kill leaves."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanledger_sdk.guard import troubles
from spanledger_sdk.handover.encode import Body
from spanledger_sdk.handover.spool import DROPPED, UNWRITABLE, Spool, folder_of

BODIES = st.lists(
    st.builds(
        Body, st.sampled_from(["traces", "logs"]), st.integers(0, 512), st.binary(max_size=99)
    )
)


def emptied(spool: Spool) -> list[Body]:
    """All that waits, taken."""
    found: list[Body] = []

    def take(body: Body) -> bool:
        found.append(body)
        return True

    while spool.send(take):
        pass
    return found


@given(BODIES)
def test_what_is_kept_comes_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[Body]
) -> None:
    """By another spool on the same folder, and then it is gone."""
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, 1 << 20)
    assert all(spool.append(body) for body in bodies)
    spool.close()
    heir = Spool(folder, 1 << 20)
    assert heir.waiting() == bool(bodies)
    assert heir.count() == sum(body.items for body in bodies)
    assert emptied(heir) == bodies
    assert not heir.waiting()


@pytest.mark.trouble
def test_the_oldest_go_first_when_it_is_full(tmp_path: Path) -> None:
    """Counted by what they held; the newest stay."""
    spool = Spool(tmp_path, 10_000)
    bodies = [Body("traces", 10, bytes([number]) * 1_000) for number in range(30)]
    for body in bodies:
        spool.append(body)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    left = emptied(spool)
    assert left == bodies[-len(left) :]
    assert len(left) >= 5
    assert troubles.count(DROPPED) == 10 * (30 - len(left))


def test_what_is_not_taken_stays(tmp_path: Path) -> None:
    """The whole segment, to be tried again."""
    spool = Spool(tmp_path, 1 << 20)
    bodies = [Body("logs", 1, b"one"), Body("logs", 1, b"two")]
    for body in bodies:
        spool.append(body)
    assert not spool.send(lambda body: body.data == b"one")
    assert emptied(spool) == bodies


def test_two_processes_do_not_send_the_same(tmp_path: Path) -> None:
    """A segment that one holds is passed over by the other."""
    one, other = Spool(tmp_path, 1 << 20), Spool(tmp_path, 1 << 20)
    one.append(Body("traces", 1, b"one"))
    assert emptied(other) == []  # one still appends to it
    other.append(Body("traces", 1, b"other"))
    nested: list[Body] = []

    def take(body: Body) -> bool:
        nested.extend(emptied(other))
        return True

    assert one.send(take)
    assert nested == [Body("traces", 1, b"other")]


@pytest.mark.parametrize("cut", [1, 17, 18, 30])
def test_a_torn_end_is_passed_over(tmp_path: Path, cut: int) -> None:
    """As a power cut leaves it: what came before it is whole."""
    spool = Spool(tmp_path, 1 << 20)
    for data in (b"a" * 30, b"b" * 30):
        spool.append(Body("traces", 1, data))
    spool.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    assert emptied(spool) == [Body("traces", 1, b"a" * 30)]


@pytest.mark.trouble
def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    """It ends its segment, and nothing of it is sent."""
    spool = Spool(tmp_path, 1 << 20)
    for data in (b"a" * 30, b"b" * 30):
        spool.append(Body("traces", 1, data))
    spool.close()
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    assert emptied(spool) == [Body("traces", 1, b"a" * 30)]
    assert troubles.counts()


def test_it_is_for_this_user_alone(tmp_path: Path) -> None:
    """Spans may hold what others must not read."""
    spool = Spool(tmp_path / "spool", 1 << 20)
    spool.append(Body("traces", 1, b"x"))
    (path,) = (tmp_path / "spool").iterdir()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_target_has_its_own(tmp_path: Path) -> None:
    """What waits for one endpoint or tenant never goes to another."""
    folders = {
        folder_of(tmp_path, "http://a", "t"), folder_of(tmp_path, "http://b", "t"),
        folder_of(tmp_path, "http://a", "u"),
    }  # fmt: skip
    assert len(folders) == 3
    assert folder_of(tmp_path, "http://a/", "t") == folder_of(tmp_path, "http://a", "t")


_KILLED = """
import os, signal, sys
from pathlib import Path
from spanledger_sdk.handover.encode import Body
from spanledger_sdk.handover.spool import Spool
spool = Spool(Path(sys.argv[1]), 1 << 20)
spool.append(Body("traces", 1, b"kept"))
print("ready", flush=True)
signal.pause()
"""


def test_what_a_killed_process_kept_is_found(tmp_path: Path) -> None:
    """Its lock ends with it."""
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        heir = Spool(tmp_path, 1 << 20)
        assert emptied(heir) == []
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert emptied(heir) == [Body("traces", 1, b"kept")]


def test_a_forked_child_leaves_its_parents_segment_alone(tmp_path: Path) -> None:
    """The parent goes on appending to it, and nobody else may send it."""
    spool = Spool(tmp_path, 1 << 20)
    spool.append(Body("traces", 1, b"parent"))
    child = os.fork()
    if child == 0:
        spool.after_fork()
        good = emptied(spool) == [] and spool.append(Body("traces", 1, b"child"))
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    spool.append(Body("traces", 1, b"more"))
    assert emptied(spool) == [
        Body("traces", 1, b"parent"), Body("traces", 1, b"more"), Body("traces", 1, b"child"),
    ]  # fmt: skip


@pytest.mark.trouble
def test_a_segment_that_another_process_deletes_is_not_written_on(tmp_path: Path) -> None:
    """It was the oldest of a full spool: what comes then goes into a new one."""
    one, other = Spool(tmp_path, 10_000), Spool(tmp_path, 10_000)
    one.append(Body("traces", 1, b"old"))
    for number in range(12):
        other.append(Body("traces", 1, bytes([number]) * 1_000))
    one.append(Body("traces", 1, b"new"))
    assert Body("traces", 1, b"new") in emptied(one)


def test_a_segment_that_is_sent_while_the_sizes_are_read_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process sends it between the look at the folder and at the file."""
    spool, other = Spool(tmp_path, 1 << 20), Spool(tmp_path, 1 << 20)
    other.append(Body("traces", 1, b"other"))
    stat = Path.stat

    def sent_first(path: Path, **how: bool) -> os.stat_result:
        monkeypatch.setattr(Path, "stat", stat)
        assert emptied(other) == [Body("traces", 1, b"other")]
        return stat(path, **how)

    spool.append(Body("traces", 1, b"first"))
    monkeypatch.setattr(Path, "stat", sent_first)
    assert spool.append(Body("traces", 1, b"second"))
    assert emptied(spool) == [Body("traces", 1, b"first"), Body("traces", 1, b"second")]


@pytest.mark.trouble
def test_a_segment_that_cannot_be_locked_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system without locks."""

    def refused(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    assert not Spool(tmp_path, 1 << 20).append(Body("traces", 1, b"kept elsewhere"))
    assert list(tmp_path.iterdir()) == []


def test_nobody_takes_a_segment_before_it_is_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that looks at this very moment leaves it alone."""
    spool, other = Spool(tmp_path, 1 << 20), Spool(tmp_path, 1 << 20)
    lock = fcntl.flock

    def looked_at_first(file: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        assert emptied(other) == []
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", looked_at_first)
    assert spool.append(Body("traces", 1, b"kept"))
    spool.close()
    assert emptied(other) == [Body("traces", 1, b"kept")]


@pytest.mark.trouble
def test_a_full_disk_gets_no_fuller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is half written is cut off again, and no empty segments are left behind."""
    spool = Spool(tmp_path, 1 << 20)
    spool.append(Body("traces", 1, b"kept"))
    write, room = os.write, [30]

    def full(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, bytes(data)[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", full)
    kept = [spool.append(Body("traces", 1, b"x" * 99)) for _ in range(5)]
    assert not any(kept)
    assert troubles.count(UNWRITABLE) == 5
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 1
    assert emptied(spool) == [Body("traces", 1, b"kept")]

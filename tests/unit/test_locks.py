"""Role locks: one holder, freed with its process."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.control.locks import AlreadyRunning, RoleLock, is_held
from service.network.endpoints import read_endpoints, remove_endpoints, write_endpoints

HOLDER = """
import sys, pathlib
from service.control.locks import RoleLock
lock = RoleLock(pathlib.Path(sys.argv[1]), "writer")
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_one_holder(tmp_path: Path) -> None:
    """A role that runs cannot be taken, another one can."""
    with RoleLock(tmp_path, "writer"):
        assert is_held(tmp_path, "writer")
        with pytest.raises(AlreadyRunning, match="a writer already runs on"):
            RoleLock(tmp_path, "writer", wait_s=0).acquire()
        with RoleLock(tmp_path, "projector"):
            pass
    assert not is_held(tmp_path, "writer")


def test_freed_by_a_kill(tmp_path: Path) -> None:
    """A killed process leaves its file behind, not its lock; what it published is stale."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDER.replace('"writer"', '"supervisor"'), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    write_endpoints(tmp_path, {"api": "127.0.0.1:1"}, "1", left_out={})
    found = read_endpoints(tmp_path)
    assert found is not None
    assert found["api"] == "127.0.0.1:1"
    process.kill()
    process.communicate()
    assert (tmp_path / "endpoints.json").exists()
    assert read_endpoints(tmp_path) is None
    with RoleLock(tmp_path, "supervisor"):
        remove_endpoints(tmp_path)
    assert not (tmp_path / "endpoints.json").exists()

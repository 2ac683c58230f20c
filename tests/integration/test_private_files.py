"""Nobody else on the machine may read the log, whichever command makes its folder."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_IMODE

import pytest

from events.private import make_private
from tests.serving import clean_environment, serving


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Sets the umask that commands inherit, until the test is over."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def run(*words: str) -> None:
    """Run a command that succeeds."""
    subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", *words], check=True, timeout=60,
        env=clean_environment(), capture_output=True,
    )  # fmt: skip


def modes(folder: Path) -> dict[str, int]:
    """The modes of all that is in `folder`."""
    return {
        str(path.relative_to(folder)): S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")
    }


@pytest.mark.slow
def test_a_token_made_before_the_first_start_opens_nothing(
    tmp_path: Path, umask: Callable[[int], int]
) -> None:
    """With the usual umask, `token add` makes the folder for its owner only, and so does all
    that a service puts there later."""
    data = tmp_path / "new" / "data"
    run("token", "add", "someone", "--scope", "admin", "--data", str(data))
    assert S_IMODE(data.stat().st_mode) == 0o700
    assert S_IMODE(data.parent.stat().st_mode) == 0o700
    run("token", "revoke", "someone", "--data", str(data))
    with serving(tmp_path / "new"):
        found = modes(data)
    assert {"ledger.db", "views.db", "tokens.json", "endpoints.json"} < set(found)
    found.pop("views.db")  # a link; only what it leads to has a mode
    assert not {name: oct(mode) for name, mode in found.items() if mode & 0o077}


@pytest.mark.slow
def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path, umask: Callable[[int], int]) -> None:
    """What the operator chose stays: a folder's mode, and a umask that shuts others out."""
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    with serving(tmp_path):
        assert S_IMODE(data.stat().st_mode) == 0o755
        assert modes(data)["ledger.db"] == 0o600
    backed_up = tmp_path / "backed-up" / "data"
    backed_up.mkdir(parents=True)
    backed_up.chmod(0o750)
    umask(0o027)
    with serving(backed_up.parent):
        assert S_IMODE(backed_up.stat().st_mode) == 0o750
        assert modes(backed_up)["ledger.db"] == 0o640


def test_missing_parents_are_private_too(tmp_path: Path, umask: Callable[[int], int]) -> None:
    """Each folder on the way is for its owner only, however open the umask is."""
    umask(0)
    make_private(tmp_path / "a" / "b")
    make_private(tmp_path / "a" / "b")
    assert modes(tmp_path) == {"a": 0o700, "a/b": 0o700}
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "file")

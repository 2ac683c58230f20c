"""Keeping what is stored from other users of the machine: folders, and files by the umask."""

import os
from pathlib import Path
from typing import Final

_OTHERS: Final = 0o007


def make_private(folder: Path) -> None:
    """Make `folder` and the parents it lacks, each for its owner only; one that exists stays.

    Raises:
        OSError: it cannot be made, or is no folder.
    """
    lacking = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in (*reversed(lacking), folder):
        each.mkdir(mode=0o700, exist_ok=True)


def make_files_private() -> int:
    """Have this process and its children make files for their owner only; the umask before.

    A umask that already shuts others out is somebody's choice and stays: 027, say, with a data
    folder that a group may enter to make backups.
    """
    before = os.umask(0o077)
    if before & _OTHERS == _OTHERS:
        os.umask(before)
    return before

"""Room on the disk for the metrics that the processes of a service share.

prometheus_client maps a file for each kind of metric into memory, and leaves it sparse: on a full
disk the first touch of a page would end the process by SIGBUS. So the files are made before it
opens them, with room that is theirs.
"""

import os
import sys
from pathlib import Path
from typing import Final

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
KINDS: Final = ("counter", "histogram", "gauge_livesum", "gauge_max", "gauge_mostrecent")
_ROOM_BYTES: Final = 32 << 10
"""Of a file: over two hundred label sets, several times what there are."""


def reserve(folder: Path) -> bool:
    """Make this process's files in `folder`; False if there is no room for them.

    A process that has the number of an earlier one goes on with its files.
    """
    try:
        for kind in KINDS:
            path = folder / f"{kind}_{os.getpid()}.db"
            if not path.exists():
                fresh = path.with_suffix(".new")
                fresh.write_bytes(bytes(_ROOM_BYTES))
                fresh.rename(path)  # readers do not get along with an empty one
    except OSError:
        return False
    return True


def trim(folder: Path, pid: int) -> None:
    """Give back what is left of the room of a process that ended; what it counted stays."""
    for path in folder.glob(f"*_{pid}.db"):
        with path.open("r+b") as file:
            used = int.from_bytes(file.read(4), sys.byteorder)
            file.truncate(max(used, 8))  # a header, at least

"""Where the processes of one service share their metrics.

prometheus_client asks the environment once, when it is imported: this runs before anything that
imports it, and each start has a fresh folder, so that figures begin with the service.
"""

import os
import time
from pathlib import Path

from events.errors import CommitFailed
from events.metric_files import FOLDER_VARIABLE
from events.private import make_private


def metrics_root(data: Path) -> Path:
    """The folder of the folders."""
    return data / "run" / "metrics"


def share_metrics(data: Path, *, role: str = "") -> None:
    """Name a folder for this process and its children; roles run one by one share theirs.

    Raises:
        CommitFailed: the data folder cannot be written.
    """
    name = "roles" if role else f"serve-{time.time_ns()}-{os.getpid()}"
    folder = metrics_root(data) / name
    try:
        make_private(folder)
    except OSError as exc:
        raise CommitFailed(f"the data folder {data} cannot be written: {exc.strerror}") from exc
    os.environ[FOLDER_VARIABLE] = str(folder)

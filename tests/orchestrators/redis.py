"""A Redis of the system, on a free loopback port, with nothing on disk."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.peers.build import CannotBuild
from tests.ports import free_port
from tests.serving import until


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """The URL of a Redis that runs as long as the block.

    Raises:
        CannotBuild: there is no `redis-server` on this machine.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise CannotBuild("redis-server is not installed; on Debian: apt-get install redis-server")
    port = str(free_port())
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "redis.log"
    options = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen([binary, *options, "--logfile", str(log)]) as process:
        try:
            until(lambda: log.exists() and "Ready to accept connections" in log.read_text())
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()

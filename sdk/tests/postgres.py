"""A real PostgreSQL of its own for tests."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]


class Cluster:
    """A server of its own, reached by a socket in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = BINARIES[0] if BINARIES else Path(shutil.which("initdb") or "initdb").parent
        # It refuses to run as root, as which tests in containers do.
        self.user = "postgres" if os.geteuid() == 0 else None

    def run(self, *words: str) -> None:
        subprocess.run(
            [str(self.bin / words[0]), *words[1:]], user=self.user, check=True, timeout=120,
            stdout=subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip

    def control(self, *words: str) -> None:
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off -c deadlock_timeout=50ms"
        data, log = str(self.folder / "data"), str(self.folder / "log")
        self.run("pg_ctl", "-w", "-D", data, "-l", log, "-o", options, *words)

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        )


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A running server with a table of two rows."""
    folder = Path(tempfile.mkdtemp(prefix="spl-pg-", dir="/tmp"))  # a socket's path is short
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    found = Cluster(folder)
    try:
        found.run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-N")
        found.control("start")
        with found.connect() as connection:
            connection.execute("CREATE TABLE t (id int PRIMARY KEY, v int)")
            connection.execute("INSERT INTO t VALUES (1, 0), (2, 0)")
        yield found
        found.control("-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""Generations of the views: one file each, one of them active.

`views.db` is a symbolic link to the active `views-<generation>.db`; replacing it is atomic, so
readers, who resolve it anew for every read, see one generation whole. The former one is kept
until the rollback time is over. A number, and so a file name, is never used again: the last one
given is on record in `views.number` even when its file is gone.
"""

import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, Literal, NamedTuple

from events.atomic_file import replace_file, sync_folder
from events.errors import BadInput, ViewsDamaged
from projections.storage import apart
from projections.storage.statements import run_script

LINK: Final = "views.db"
NUMBER_FILE: Final = "views.number"
_FILE = re.compile(r"views-(\d+)\.db")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_BUSY_S: Final = 10.0
_WAL_LIMIT_BYTES: Final = 64 << 20


class Generation(NamedTuple):
    """What a views file says about itself."""

    number: int
    created_ns: int
    activated_ns: int | None
    retired_ns: int | None
    as_of: int


class Generations:
    """The views files of a data folder."""

    def __init__(self, data: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self.data = data
        self._clock = clock

    def path(self, number: int) -> Path:
        """The file of a generation."""
        return self.data / f"views-{number}.db"

    def active(self) -> int | None:
        """The generation that readers see; None before the first.

        Raises:
            ViewsDamaged: `views.db` is no link to a generation.
        """
        link = self.data / LINK
        try:
            name = os.readlink(link)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise ViewsDamaged(f"{link} is not a link to a generation: {exc}") from exc
        match = _FILE.fullmatch(name)
        if match is None or not (self.data / name).exists():
            raise ViewsDamaged(f"{link} leads to {name}, which is not there")
        return int(match[1])

    def numbers(self) -> list[int]:
        """Every generation that has a file, ascending."""
        found = (_FILE.fullmatch(path.name) for path in self.data.glob("views-*.db"))
        return sorted(int(match[1]) for match in found if match)

    def reserve(self) -> int:
        """A number never used before."""
        record = self.data / NUMBER_FILE
        try:
            last = int(record.read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            last = 0
        number = max([last, *self.numbers()]) + 1
        replace_file(record, str(number).encode())
        return number

    def activate(self, number: int) -> None:
        """Show a generation to readers; atomic and durable."""
        link = self.data / LINK
        fresh = self.data / f".{LINK}.{number}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self.path(number).name)
        fresh.replace(link)
        sync_folder(self.data)

    def remove(self, number: int) -> None:
        """Delete a generation's files."""
        path = self.path(number)
        for beside in apart.files(path).values():
            remove_file(beside)
        remove_file(path)

    def past(self, name: str) -> Path:
        """The file of a named view of the past.

        Raises:
            BadInput: the name does not make a file name.
        """
        if not _NAME.fullmatch(name):
            raise BadInput(f"{name!r} is no name of a view: use letters, digits, '_', '-', '.'")
        return self.data / f"views-asof-{name}.db"

    def pasts(self) -> list[str]:
        """The names of the views of the past."""
        return sorted(
            path.name.removeprefix("views-asof-").removesuffix(".db")
            for path in self.data.glob("views-asof-*.db")
        )


def connect(path: Path) -> sqlite3.Connection:
    """Open a views file for feeding: readers are never blocked."""
    connection = sqlite3.connect(
        path.absolute().as_uri(), uri=True, isolation_level=None,
        check_same_thread=False, timeout=_BUSY_S,
    )  # fmt: skip
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",  # a power cut may take back whole pages; they are applied again
        "wal_autocheckpoint = 8192",
        f"journal_size_limit = {_WAL_LIMIT_BYTES}",
        "cache_size = -65536",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def connect_building(path: Path) -> sqlite3.Connection:
    """Open a views file that no one reads yet: nothing is synced until it is whole.

    The journal is in memory, not off: an event that cannot be applied must be taken back.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, timeout=_BUSY_S
    )
    for pragma in (
        "journal_mode = MEMORY",
        "synchronous = OFF",
        "locking_mode = EXCLUSIVE",
        "cache_size = -131072",  # bounds the memory of a rebuild, sorting for indexes included
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a views file for reading, with the files beside it."""
    connection = sqlite3.connect(
        apart.read_only(path), uri=True, isolation_level=None,
        check_same_thread=False, timeout=_BUSY_S,
    )  # fmt: skip
    apart.attach(connection, path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def describe(connection: sqlite3.Connection) -> Generation:
    """What an open views file says about itself."""
    row = connection.execute(
        "SELECT number, created_ns, activated_ns, retired_ns, as_of FROM generation"
    ).fetchone()
    return Generation(*row)


def is_over(path: Path, before_ns: int) -> bool:
    """Was this generation retired before a time, or, if it is damaged, last written before it?"""
    try:
        with closing(connect_reader(path)) as connection:
            retired_ns = describe(connection).retired_ns
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:  # damaged, and replaced
        retired_ns = path.stat().st_mtime_ns
    return retired_ns is not None and retired_ns < before_ns


def complete(connection: sqlite3.Connection) -> None:
    """Create what every views file holds, or add what a file of an older release lacks."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(dead_letter)")]
    is_old = bool(columns) and "run_no" not in columns
    if is_old:
        connection.execute("ALTER TABLE dead_letter RENAME TO old_dead_letter")
    run_script(connection, "projections.storage", "views.sql")
    if is_old:
        listed = ", ".join(columns)
        connection.execute(
            f"INSERT INTO dead_letter ({listed}) SELECT {listed} FROM old_dead_letter"
        )
        connection.execute("DROP TABLE old_dead_letter")


def stamp(
    connection: sqlite3.Connection,
    column: Literal["activated_ns", "retired_ns"],
    time_ns: int | None,
) -> None:
    """Note when a generation was activated or retired."""
    connection.execute(f"UPDATE generation SET {column} = ?", (time_ns,))


def bound_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Let the WAL start anew if readers that overlap have kept it from doing so."""
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > 2 * _WAL_LIMIT_BYTES:
        connection.execute("PRAGMA busy_timeout = 100").fetchall()
        connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_S * 1000)}").fetchall()


def sync_file(path: Path) -> None:
    """Make a file durable; no connection of this process may have it open."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Delete a database with whatever SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

"""Opening `ledger.db`: one connection that writes, any number that read.

Exactly one connection of one process writes and checkpoints; all others open the file
read-only and hold no transaction while they wait (SQLite before 3.51.3 can corrupt a WAL that
two writing or checkpointing connections meet on). Nothing in the writing process may open and
close the file by other means: that would drop SQLite's POSIX locks.
"""

import os
import re
import sqlite3
import uuid
from importlib import resources
from pathlib import Path
from typing import Final

from events import identity
from events.errors import LogDamaged, Unavailable

FILE: Final = "ledger.db"
OLDEST_SQLITE: Final = (3, 37, 0)


def load_queries(package: str, file: str) -> dict[str, str]:
    """The statements of an `.sql` file, by the name in their `-- name:` line."""
    text = resources.files(package).joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: *(\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def connect_writer(data: Path) -> sqlite3.Connection:
    """Open or create the log for writing, with full durability and migrations applied."""
    data.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        data / FILE, isolation_level=None, check_same_thread=False, timeout=5.0
    )
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "recursive_triggers = ON",
            "wal_autocheckpoint = 0",  # the writer checkpoints, where it chooses
            "journal_size_limit = 67108864",
            "cache_size = -16384",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    _sync_folder(data)
    return connection


def connect_reader(data: Path) -> sqlite3.Connection:
    """Open the log read-only.

    Raises:
        Unavailable: there is no log in this folder yet.
        LogDamaged: the file is there and is not a log.
    """
    path = data / FILE
    if not path.exists():
        raise Unavailable(f"no log in {data} yet: start `spanledger serve --data {data}` first")
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False, timeout=5.0,
    )  # fmt: skip
    try:
        connection.execute("PRAGMA query_only = ON")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            raise Unavailable(f"the log in {data} is just being made: try again")
    except sqlite3.DatabaseError as exc:
        connection.close()
        raise LogDamaged(f"{path} cannot be read as a log: {exc}") from exc
    except BaseException:
        connection.close()
        raise
    return connection


def read_meta(connection: sqlite3.Connection) -> tuple[str, bytes]:
    """The log's id and its identity key."""
    meta = dict(connection.execute("SELECT name, value FROM meta").fetchall())
    try:
        return meta["log_id"].decode(), meta["identity_key"]
    except (KeyError, AttributeError) as exc:
        raise LogDamaged(f"{FILE} does not say which log it is") from exc


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply the numbered migrations that this file has not seen, each in a transaction."""
    seen = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = sorted(
        (file for file in resources.files("events.log").joinpath("migrations").iterdir()
         if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )  # fmt: skip
    if seen > len(scripts):
        raise LogDamaged(f"{FILE} has schema {seen}; this release knows {len(scripts)}: upgrade")
    for number, script in enumerate(scripts[seen:], seen + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script.read_text('utf-8')}\nPRAGMA user_version = {number};"
        )
        if number == 1:
            _identify(connection)
        connection.execute("COMMIT")


def _identify(connection: sqlite3.Connection) -> None:
    connection.executemany(
        "INSERT INTO meta (name, value) VALUES (?, ?)",
        [("log_id", str(uuid.uuid4()).encode()), ("identity_key", identity.new_key())],
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Opening `ledger.db`: one connection that writes, any number that read.

Exactly one connection of one process writes and checkpoints; all others open the file
read-only and hold no transaction while they wait (SQLite before 3.51.3 can corrupt a WAL that
two writing or checkpointing connections meet on). Nothing in the writing process may open and
close the file by other means: that would drop SQLite's POSIX locks.
"""

import contextlib
import re
import sqlite3
import uuid
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from events import identity
from events.atomic_file import sync_folder
from events.errors import LogDamaged, NoLog, Unavailable
from events.private import make_private

FILE: Final = "ledger.db"


def load_queries(package: str, file: str) -> dict[str, str]:
    """The statements of an `.sql` file, by the name in their `-- name:` line."""
    text = resources.files(package).joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: *(\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def connect_writer(data: Path) -> sqlite3.Connection:
    """Open or create the log for writing, with full durability and migrations applied."""
    make_private(data)
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
    sync_folder(data)
    return connection


def connect_reader(data: Path) -> sqlite3.Connection:
    """Open the log read-only.

    Raises:
        NoLog: there is no log in this folder yet.
        Unavailable: it cannot be opened now.
        LogDamaged: the file is there and is not a log.
    """
    path = data / FILE
    if not path.exists():
        raise NoLog(f"no log in {data} yet: start `spanledger serve --data {data}` first")
    with reading():
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
            check_same_thread=False, timeout=5.0,
        )  # fmt: skip
    try:
        with reading():
            connection.execute("PRAGMA query_only = ON")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            raise NoLog(f"the log in {data} is just being made: try again")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Errors of SQLite as ours: what passes (too many files, a busy disk) is no damage.

    Raises:
        Unavailable: the log cannot be read now.
        LogDamaged: the file is not what it was.
    """
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        # The plain code stands for tables that are not there.
        if isinstance(exc, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            raise Unavailable(f"the log cannot be read now: {exc}") from exc
        raise LogDamaged(f"{FILE} is damaged: {exc}") from exc


def read_meta(connection: sqlite3.Connection) -> tuple[str, bytes]:
    """The log's id and its identity key; raises as `reading`."""
    with reading():
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

"""Reading the views: read-only connections to the file that `views.db` points to right now.

The link is resolved for each question, so a question sees one generation from start to end and
the next question sees an activation. Connections are kept per file and used by one thread at a
time. Each question runs in one read transaction: its rows and its position belong together.
"""

import contextlib
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from events.errors import NotFound, Unavailable, ViewsDamaged
from projections.query.refusals import OfAnotherRelease
from projections.storage import apart
from projections.storage.supplement import Supplement

LIVE: Final = "views.db"
_VIEW_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEPT = 16  # idle connections per file
_OTHER_TABLES: Final = ("no such ", "cannot join using ")
"""SQLite's words for tables and columns that are not there."""


class _Connection(sqlite3.Connection):
    supplement: Supplement | None = None


class Views:
    """The view files of one data folder; safe to use from many threads."""

    def __init__(self, data: Path) -> None:
        self._data = data.absolute()
        self._idle: dict[Path, list[_Connection]] = {}
        self._supplements: dict[tuple[Path, int], Supplement] = {}
        self._lock = threading.Lock()
        self._closed = False

    def path(self, view: str | None = None) -> Path:
        """The file that answers now.

        Raises:
            Unavailable: there are no views yet.
            NotFound: there is no view of the past with this name.
        """
        if view is not None:
            path = self._data / f"views-asof-{view}.db"
            if not _VIEW_NAME.fullmatch(view) or not path.is_file():
                raise NotFound(f"there is no view {view!r}")
            return path
        try:
            return (self._data / LIVE).resolve(strict=True)
        except OSError as exc:
            raise Unavailable(f"there are no views in {self._data} yet") from exc

    def supplement(self, view: str | None = None) -> Supplement | None:
        """What stands in for what the file lacks that answers now, if anything was given."""
        return self._supplements.get(_identity(self.path(view)))

    def supply(self, view: str | None, find: Callable[[sqlite3.Connection], Supplement]) -> None:
        """Give the file that answers now what it lacks; `find` says what that is."""
        with self.read(view) as connection:
            found = find(connection)
        path = self.path(view)
        with self._lock:
            self._supplements[_identity(path)] = found
            bare = self._idle.pop(path, [])
        for connection in bare:
            connection.close()

    @contextlib.contextmanager
    def read(self, view: str | None = None) -> Iterator[sqlite3.Connection]:
        """A connection inside a read transaction.

        Raises:
            Unavailable, NotFound: as `path`, or the file cannot be read now.
            OfAnotherRelease: it lacks a table or column that was asked for.
            ViewsDamaged: the file is damaged.
        """
        path = self.path(view)
        try:
            connection = self._take(path)
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                connection.set_progress_handler(None, 0)
                self._give_back(path, connection)
        except sqlite3.OperationalError as exc:
            if str(exc).startswith(_OTHER_TABLES):
                raise OfAnotherRelease(view) from exc
            raise Unavailable(f"the views cannot be read now: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            raise ViewsDamaged(f"{path.name} is damaged: {exc}") from exc

    def close(self) -> None:
        """Close every idle connection; those in use close when they come back."""
        with self._lock:
            self._closed = True
            idle = [connection for pool in self._idle.values() for connection in pool]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _take(self, path: Path) -> _Connection:
        with self._lock:
            left = [kept for kept in self._idle if kept != path] if self._is_live(path) else []
            stale = [connection for kept in left for connection in self._idle.pop(kept)]
            ready = self._idle[path].pop() if self._idle.get(path) else None
        for connection in stale:  # of a generation that was left: let its file go
            connection.close()
        if ready is not None:
            return ready
        connection = sqlite3.connect(
            apart.read_only(path), uri=True, isolation_level=None,
            check_same_thread=False, timeout=5.0, factory=_Connection,
        )  # fmt: skip
        apart.attach(connection, path)
        connection.supplement = self._supplements.get(_identity(path))
        if connection.supplement is not None:
            connection.supplement.put_up(connection)
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -4096")
        return connection

    def _give_back(self, path: Path, connection: _Connection) -> None:
        if connection.in_transaction:
            connection.rollback()
        with self._lock:
            pool = self._idle.setdefault(path, [])
            is_whole = connection.supplement is self._supplements.get(_identity(path))
            if is_whole and not self._closed and len(pool) < _KEPT and self._is_live(path):
                pool.append(connection)
                return
            if not pool:
                del self._idle[path]
        connection.close()

    def _is_live(self, path: Path) -> bool:
        """Whether `views.db` points to this file; views of the past may be replaced in place."""
        return path == (self._data / LIVE).resolve()


def _identity(path: Path) -> tuple[Path, int]:
    """What tells a file from a later one of the same name; it may have been removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path, path.stat().st_ino
    return path, 0

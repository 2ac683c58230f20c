"""Which SQLite this Python has, and what that means."""

import sqlite3
from typing import Final

from events.errors import Unavailable

OLDEST: Final = (3, 37, 0)
"""The first with STRICT tables."""
_REPAIRED: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))

Version = tuple[int, ...]


def sqlite_version() -> Version:
    """Of the library that this process has loaded."""
    return sqlite3.sqlite_version_info


def may_lose_wal(version: Version) -> bool:
    """Whether two connections that write or checkpoint can meet the WAL-reset bug.

    We have one such connection a file, so it cannot strike us; other programs on our files can.
    """
    if version >= _REPAIRED[-1]:
        return False
    return not any(version[:2] == fixed[:2] and version >= fixed for fixed in _REPAIRED)


def require_sqlite(version: Version | None = None) -> None:
    """Refuse a library that cannot hold our tables.

    Raises:
        Unavailable: it is too old.
    """
    found = version or sqlite_version()
    if found < OLDEST:
        raise Unavailable(
            f"SQLite {text(found)} is too old, {text(OLDEST)} or newer is needed; "
            "use a newer Python, or one built with a newer SQLite"
        )


def text(version: Version) -> str:
    """`3.37.0`."""
    return ".".join(str(part) for part in version)

"""The spool: changes that some projection told by runs has not applied yet.

While a projection is behind the shared stage (it is paused, or was too slow), each page's changes
are kept in the transaction that makes them, until every one has applied them. The spool is bounded
in bytes: beyond that it is dropped, and who needed it has to be rebuilt from the log.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import zstandard

from events.log.port import Page
from events.log.sqlite import load_queries
from projections.runs.changes import Change, Changes

LIMIT_BYTES: Final = 256 << 20
"""Most bytes of compressed changes; about two million attempts."""

_sql = load_queries("projections.engine", "spool.sql")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[list[Change]]).decode


class Kept(NamedTuple):
    """The changes of one page."""

    after: int
    through: int
    hash: bytes
    committed_ns: int
    oldest_ns: int
    changes: bytes

    def parts(self) -> list[list[Change]]:
        """The changes, in the parts in which they were made."""
        return _decode(zstandard.decompress(self.changes))


def append(connection: sqlite3.Connection, page: Page, parts: Sequence[Changes]) -> None:
    """Keep the changes of a page; `parts` may be empty."""
    last = page.segments[-1]
    content = _encode([list(part) for part in parts])
    connection.execute(
        _sql["append"],
        {
            "partition": page.partition,
            "after": page.after,
            "through": page.through,
            "hash": last.hash,
            "committed_ns": last.committed_ns,
            "oldest_ns": page.segments[0].committed_ns,
            "changes": zstandard.compress(content, 1),
        },
    )


def following(connection: sqlite3.Connection, partition: int, position: int) -> Kept | None:
    """The page that begins at `position`, or holds it; None if it is not kept."""
    values = {"partition": partition, "position": position}
    row = connection.execute(_sql["next"], values).fetchone()
    return None if row is None else Kept(*row)


def trim(connection: sqlite3.Connection, partition: int, position: int) -> None:
    """Forget what everyone has applied, up to `position`."""
    connection.execute(_sql["trim"], {"partition": partition, "position": position})


def is_full(connection: sqlite3.Connection, limit_bytes: int) -> bool:
    """Does the spool hold more than `limit_bytes`?"""
    held: int = connection.execute(_sql["bytes"]).fetchone()[0]
    return held > limit_bytes


def clear(connection: sqlite3.Connection) -> None:
    """Drop everything."""
    connection.execute(_sql["clear"])

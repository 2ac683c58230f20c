"""The configurations that the tables of a views file were made with.

They are kept with the file, so that it goes on being fed as it was begun until views made with a
new configuration take its place.
"""

import hashlib
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from events.log.sqlite import load_queries

Configuration = Mapping[str, Any]
"""What one projection goes by: values that JSON has, by name."""

_DIGEST_BYTES: Final = 16
_sql = load_queries("projections.storage", "configuration.sql")
_encode = msgspec.json.Encoder(order="deterministic").encode


def digest(configuration: Configuration) -> bytes:
    """What identifies a configuration; the order of its values does not count."""
    return hashlib.blake2b(_encode(dict(configuration)), digest_size=_DIGEST_BYTES).digest()


def store(connection: sqlite3.Connection, by_name: Mapping[str, Configuration]) -> None:
    """Put on record what projections' tables are made with."""
    connection.executemany(
        _sql["store"],
        [
            {
                "projection": name,
                "digest": digest(configuration),
                "content": _encode(dict(configuration)).decode(),
            }
            for name, configuration in by_name.items()
        ],
    )


def load(connection: sqlite3.Connection) -> dict[str, Configuration]:
    """What the tables of each projection were made with."""
    rows = connection.execute(_sql["load"])
    return {projection: msgspec.json.decode(content) for projection, content in rows}

"""What the projections of an answer have seen of the log, and which of them lag."""

import json
import sqlite3
from typing import NamedTuple

from events.log.sqlite import load_queries
from projections.query.endpoint import Endpoint

SQL = load_queries("projections.query", "seen.sql")


class Seen(NamedTuple):
    """The least position of all projections of an answer, and the fields of those behind."""

    position: int
    behind: list[str]


def seen_by(connection: sqlite3.Connection, endpoint: Endpoint) -> Seen:
    """What the projections of an endpoint have seen; one without a checkpoint stands at 0."""
    if not endpoint.reads:
        return Seen(seen_by_all(connection), [])
    places = dict.fromkeys((*endpoint.reads, *endpoint.joins), 0)
    rows = connection.execute(SQL["places"], {"names": json.dumps(list(places))})
    places |= dict(rows.fetchall())
    own = min(places[name] for name in endpoint.reads)
    behind = [
        field for name, fields in endpoint.joins.items() if places[name] < own for field in fields
    ]
    return Seen(min(places.values()), behind)


def seen_by_all(connection: sqlite3.Connection) -> int:
    """The position that every projection of a views file has seen; 0 if there is none."""
    (position,) = connection.execute(SQL["least"]).fetchone()
    return int(position)

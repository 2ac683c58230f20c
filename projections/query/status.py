"""How far the projections have followed the log, and the log's end."""

import json
import sqlite3
import time
from collections.abc import Sequence

from events.log.lag import behind
from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query.log import Log
from projections.query.records import LogHead, ProjectionList, ProjectionStatus

SQL = load_queries("projections.query", "status.sql")


def seen(connection: sqlite3.Connection, projections: Sequence[str]) -> int:
    """The position that all of these projections have seen."""
    row = connection.execute(SQL["seen"], {"names": json.dumps(projections)}).fetchone()
    return int(row[0])


def projection_list(connection: sqlite3.Connection, log: Log, view: str) -> ProjectionList:
    """Every projection of a view file and its lag."""
    rows = connection.execute(SQL["projections"]).fetchall()
    items = []
    with log.read() as reader:
        head = reader.head().position
        lags = {position: behind(reader, {0: position}) for position in {row[3] for row in rows}}
    now_ns = time.time_ns()
    for name, version, partition, position, committed_ns, updated_ns, parked in rows:
        items.append(
            ProjectionStatus(
                name=name,
                version=version,
                partition=partition,
                position=str(position),
                lag_events=lags[position].events,
                lag_s=lags[position].seconds(now_ns),
                dead_letters=parked,
                committed_at=rfc3339(committed_ns or None),
                updated_at=rfc3339(updated_ns or None),
            )
        )
    position = min((row[3] for row in rows), default=0)
    return ProjectionList(items, str(position), str(head), view)


def log_head(log: Log) -> LogHead:
    """The log's end."""
    with log.read() as reader:
        head, log_id = reader.head(), reader.log_id
    return LogHead(
        position=str(head.position),
        partition=0,
        hash=head.hash.hex(),
        anchor=f"{head.position}:{head.hash.hex()}",
        committed_at=rfc3339(head.committed_ns or None),
        committed_ns=head.committed_ns or None,
        log_id=log_id,
    )

"""How far the projections have followed the log, and the log's end."""

import json
import sqlite3
import time
from collections.abc import Sequence

from events.log.port import LogReader
from events.log.sqlite import load_queries
from projections.query.log import Log
from projections.query.records import LogHead, ProjectionList, ProjectionStatus
from projections.query.times import SECOND_NS, rfc3339

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
        lags = {position: _lag_s(reader, position) for position in {row[3] for row in rows}}
    for name, version, partition, position, committed_ns, updated_ns, parked in rows:
        items.append(
            ProjectionStatus(
                name=name,
                version=version,
                partition=partition,
                position=str(position),
                lag_events=max(head - position, 0),
                lag_s=lags[position],
                dead_letters=parked,
                committed_at=rfc3339(committed_ns or None),
                updated_at=rfc3339(updated_ns or None),
            )
        )
    position = min((row[3] for row in rows), default=0)
    return ProjectionList(items, str(position), str(head), view)


def _lag_s(reader: LogReader, position: int) -> float:
    """Age of the oldest event after `position`."""
    segments = reader.read(0, position, limit_segments=1).segments
    if not segments:
        return 0.0
    return max(time.time_ns() - segments[0].committed_ns, 0) / SECOND_NS


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

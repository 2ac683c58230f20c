"""How far the projections have followed the log, and the log's end."""

import sqlite3
import time
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from events.log.lag import behind
from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.log import Log
from projections.query.parameters import Question
from projections.query.records import Hex, Ns, PositionText, Rfc3339
from projections.storage import states
from projections.storage.states import CATCHING_UP_EVENTS, Note

SQL = load_queries("projections.query", "status.sql")


State = Literal["running", "catching_up", "behind", "paused", "rebuilding", "stopped"]


class ProjectionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How far a projection has followed the log."""

    name: str
    version: int
    partition: int
    position: PositionText
    lag_events: Annotated[int, Meta(description="Null for who may see one tenant")] | None
    lag_s: Annotated[float, Meta(description="Age of the oldest event not applied; 0 if none")]
    state: Annotated[
        State,
        Meta(
            description="`running`; `catching_up` with much of the log left; `behind` the others; "
            "`paused`; `rebuilding` or `stopped`: its tables stand still and answer"
        ),
    ]
    since: Annotated[str, Meta(description="Since when, unless it is running")] | None
    failure: Annotated[str, Meta(description="Why it is paused")] | None
    dead_letters: (
        Annotated[
            int,
            Meta(description="Events and runs parked; null for who may see one tenant"),
        ]
        | None
    )
    committed_at: Annotated[str, Meta(description="When its last event was committed")] | None
    updated_at: Rfc3339 | None


class ProjectionList(msgspec.Struct, frozen=True):
    """Every projection of the view that answers."""

    items: list[ProjectionStatus]
    position: PositionText
    head: Annotated[str, Meta(description="Null for who may see one tenant")] | None
    view: Annotated[str, Meta(description="File name of the view that answers")]
    next: None = None
    complete: bool = True


class LogHead(msgspec.Struct, frozen=True):
    """The end of the log."""

    position: PositionText
    partition: int
    hash: Hex
    anchor: Annotated[str, Meta(description="POSITION:HASH for `log verify --anchor`")]
    committed_at: Rfc3339 | None
    committed_ns: Ns | None
    log_id: str


def for_one_tenant(answer: ProjectionList) -> ProjectionList:
    """The same for who may see one tenant, without what tells of the others: how much they sent,
    how much of it failed, and why."""
    hidden = {"lag_events": None, "failure": None, "dead_letters": None, "committed_at": None}
    items = [msgspec.structs.replace(item, **hidden) for item in answer.items]
    return msgspec.structs.replace(answer, items=items, head=None)


def _notes(connection: sqlite3.Connection) -> dict[str, Note]:
    """What the projector has put on record; nothing in files of releases that did not."""
    is_there = connection.execute(SQL["has_states"]).fetchone()
    return states.load(connection) if is_there else {}


def projection_list(inquiry: Inquiry, question: Question) -> ProjectionList:
    """Every projection of a view file and its lag."""
    rows = inquiry.connection.execute(SQL["projections"]).fetchall()
    items = []
    with inquiry.log.read() as reader:
        head = reader.head().position
        lags = {position: behind(reader, {0: position}) for position in {row[3] for row in rows}}
    now_ns = time.time_ns()
    notes = _notes(inquiry.connection)
    for name, version, partition, position, committed_ns, updated_ns, parked in rows:
        note = notes.get(name)
        catching_up = lags[position].events > CATCHING_UP_EVENTS
        items.append(
            ProjectionStatus(
                name=name,
                version=version,
                partition=partition,
                position=str(position),
                lag_events=lags[position].events,
                lag_s=lags[position].seconds(now_ns),
                state=note.state if note else "catching_up" if catching_up else "running",
                since=rfc3339(note.since_ns) if note else None,
                failure=note.reason if note else None,
                dead_letters=parked,
                committed_at=rfc3339(committed_ns or None),
                updated_at=rfc3339(updated_ns or None),
            )
        )
    position = min((row[3] for row in rows), default=0)
    view = Path(inquiry.connection.execute("PRAGMA database_list").fetchone()[2]).name
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


ENDPOINT: Final = Endpoint(
    "projections",
    "Every projection, how far it has followed the log, and its dead letters.",
    Question, ProjectionList, (), projection_list,
)  # fmt: skip

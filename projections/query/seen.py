"""What the projections of an answer have seen of the log, and which of them lag.

One whose tables another release made lags in the columns that they have not: the fields that
come from these are null, and named, until the tables are made anew.
"""

import json
import sqlite3
from collections.abc import Iterator
from functools import cache
from typing import Any, Final, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from events.log.sqlite import load_queries
from projections.query.endpoint import Endpoint
from projections.storage.supplement import Supplement

SQL = load_queries("projections.query", "seen.sql")

_FOLLOWING: Final = {
    "queued_ns": ("queue_wait_ns", "queue_wait_s"),
    "ended_ns": ("duration_ns", "duration_s"),
}
"""Fields that are reckoned from a column."""


class Seen(NamedTuple):
    """The least position of all projections of an answer, and the fields of those behind."""

    position: int
    behind: list[str]


def seen_by(
    connection: sqlite3.Connection, endpoint: Endpoint, supplement: Supplement | None = None
) -> Seen:
    """What the projections of an endpoint have seen; one without a checkpoint stands at 0.

    `supplement` is what stands in for columns that they lack.
    """
    if not endpoint.reads:
        return Seen(seen_by_all(connection), [])
    places = dict.fromkeys((*endpoint.reads, *endpoint.joins), 0)
    rows = connection.execute(SQL["places"], {"names": json.dumps(list(places))})
    places |= dict(rows.fetchall())
    own = min(places[name] for name in endpoint.reads)
    behind = [
        field for name, fields in endpoint.joins.items() if places[name] < own for field in fields
    ]
    if supplement is not None:
        behind += _lacking(endpoint, supplement)
    return Seen(min(places.values()), list(dict.fromkeys(behind)))


def seen_by_all(connection: sqlite3.Connection) -> int:
    """The position that every projection of a views file has seen; 0 if there is none."""
    (position,) = connection.execute(SQL["least"]).fetchone()
    return int(position)


def _lacking(endpoint: Endpoint, supplement: Supplement) -> Iterator[str]:
    """The fields of an endpoint's records that are null because their columns are not there."""
    for name, fields in endpoint.joins.items():
        if name in supplement.absent or supplement.null.get(name):
            yield from fields
    known = _fields_of(endpoint.answers)
    for name, columns in supplement.null.items():
        if name not in endpoint.joins:
            yield from (f for column in columns for f in _shown_as(column) if f in known)


@cache
def _fields_of(answers: Any) -> frozenset[str]:
    """The fields of all records that an answer is made of."""
    return frozenset(f for kind in _structs(answers, set()) for f in kind.__struct_fields__)


def _shown_as(column: str) -> Iterator[str]:
    """The fields that an answer may have of a column: times and durations have two."""
    yield column
    yield from _FOLLOWING.get(column, ())
    if column.endswith("_ns"):
        stem = column.removesuffix("_ns")
        yield from (f"{stem}_at", f"{stem}_s")


def _structs(kind: Any, met: set[Any]) -> Iterator[type[msgspec.Struct]]:
    """The structs that a type is made of."""
    for part in get_args(kind):
        yield from _structs(part, met)
    made = get_origin(kind) or kind
    if isinstance(made, type) and issubclass(made, msgspec.Struct) and made not in met:
        met.add(made)
        yield made
        for hint in get_type_hints(made).values():
            yield from _structs(hint, met)

"""The fold of `traces`: which positions of the log belong to a trace.

It knows spans and log records by their trace id and nothing else of them, so it shares no stage
with the other projections. What it finds are candidates: 63-bit digests can collide, and the
caller compares the trace ids of the events that it reads.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from events.log.port import Page
from projections.engine.port import Projection
from projections.storage.sorted_runs import SortedRuns
from projections.views.traces.trace_ids import page_hashes, trace_hash

NAME: Final = "traces"
_INDEX: Final = SortedRuns("trace")


class Traces:
    """Projection and fold in one."""

    name = NAME
    version = 3
    tables: Sequence[str] = _INDEX.tables
    configuration: Mapping[str, Any] = MappingProxyType({})
    depends: Sequence[str] = ()

    def __init__(self) -> None:
        self.projections: Sequence[Projection] = (self,)

    def create(self, connection: sqlite3.Connection) -> None:
        """See `Projection.create`."""
        _INDEX.create(connection)

    def index(self, connection: sqlite3.Connection) -> None:
        """The tables are an index."""

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`."""
        _INDEX.add(connection, *page_hashes(page), page.partition)

    def forget(self) -> None:
        """Nothing is looked up, so nothing is cached."""


def positions(
    connection: sqlite3.Connection, tenant: str, trace_id: bytes, partition: int = 0
) -> list[int]:
    """Positions of the events that may belong to a trace, ascending."""
    digest = trace_hash(tenant, trace_id)
    return _INDEX.between(connection, digest, digest, partition)

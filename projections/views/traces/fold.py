"""The fold of `traces`: which positions of the log belong to a trace.

It knows spans and log records by their trace id and nothing else of them, so it shares no stage
with the other projections. What it finds are candidates: 63-bit digests can collide, and the
caller compares the trace ids of the events that it reads.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from events.log.port import Page
from projections.engine.port import Projection
from projections.storage import sorted_runs
from projections.storage.statements import run_script
from projections.views.traces.trace_ids import page_hashes, trace_hash

NAME: Final = "traces"
_PACKAGE: Final = "projections.views.traces"


class Traces:
    """Projection and fold in one."""

    name = NAME
    version = 1
    tables: Sequence[str] = ("trace_run", "trace_block")

    def __init__(self) -> None:
        self.projections: Sequence[Projection] = (self,)

    def create(self, connection: sqlite3.Connection) -> None:
        """See `Projection.create`."""
        run_script(connection, _PACKAGE, "schema.sql")

    def index(self, connection: sqlite3.Connection) -> None:
        """See `Projection.index`."""
        run_script(connection, _PACKAGE, "index.sql")

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`."""
        sorted_runs.add(connection, page.partition, *page_hashes(page))

    def forget(self) -> None:
        """Nothing is cached."""


def positions(
    connection: sqlite3.Connection, tenant: str, trace_id: bytes, partition: int = 0
) -> list[int]:
    """Positions of the events that may belong to a trace, ascending."""
    return sorted_runs.find(connection, partition, trace_hash(tenant, trace_id))

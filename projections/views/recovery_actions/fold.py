"""The fold of `recovery_actions`: what spans and facts tell of recoveries.

Few events of a log tell one. They are known by a search in their bytes, before decoding.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from events import codec, names
from events.log.port import Page
from events.schema import Fact, RawBlock, Span
from projections.engine.port import Projection
from projections.storage.columns import Columns
from projections.storage.statements import run_script
from projections.views.recovery_actions.told import Place, RecoveryRow, told_by_fact, told_by_span

NAME: Final = "recovery_actions"
_MARK: Final = names.RECOVERY_EVENT.encode()
_INSERT: Final = Columns("recovery_action", RecoveryRow, "INSERT OR REPLACE").insert


class RecoveryActions:
    """Projection and fold in one."""

    name = NAME
    version = 2
    tables: Sequence[str] = ("recovery_action",)
    configuration: Mapping[str, Any] = MappingProxyType({})
    depends: Sequence[str] = ()

    def __init__(self) -> None:
        self.projections: Sequence[Projection] = (self,)

    def create(self, connection: sqlite3.Connection) -> None:
        """See `Projection.create`."""
        run_script(connection, f"projections.views.{NAME}", "schema.sql")

    def index(self, connection: sqlite3.Connection) -> None:
        """The key is the only index."""

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`."""
        connection.executemany(_INSERT, list(_rows(page)))

    def forget(self) -> None:
        """Nothing is looked up, so nothing is cached."""


def _rows(page: Page) -> Iterator[RecoveryRow]:
    for segment in page.segments:
        if _MARK not in segment.content:  # most: one search in place of one an event
            continue
        position = segment.first
        for block in segment.raw_blocks():
            for at, row in enumerate(block.events, position):
                if page.after < at <= page.through and _MARK in (data := bytes(row)):
                    place = Place(block.tenant, block.received_ns, page.partition, at)
                    yield from _told(data, block, place)
            position += len(block.events)


def _told(data: bytes, block: RawBlock, place: Place) -> Iterator[RecoveryRow]:
    event = codec.decode_event(data)
    if isinstance(event, Span):
        resource = codec.decode_context(block.context).resource_attributes
        yield from told_by_span(event, resource, place)
    elif isinstance(event, Fact) and (row := told_by_fact(event, place)):
        yield row

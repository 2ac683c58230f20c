"""The fold of `triage`: decisions about errors, which are facts in the log."""

import sqlite3
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from events import codec, names
from events.log.port import Page
from events.schema import Fact
from projections.engine.port import Projection
from projections.storage.columns import Columns
from projections.storage.statements import run_script
from projections.views.triage.decision import KIND, Decision, decision_of

NAME: Final = "triage"
_MARK: Final = codec.tag_mark(names.FACT)
_KIND: Final = KIND.encode()
_INSERT: Final = Columns("triage", Decision, "INSERT OR REPLACE").insert


class Triage:
    """Projection and fold in one."""

    name = NAME
    version = 1
    tables: Sequence[str] = ("triage",)
    configuration: Mapping[str, Any] = MappingProxyType({})
    depends: Sequence[str] = ()

    def __init__(self) -> None:
        self.projections: Sequence[Projection] = (self,)

    def create(self, connection: sqlite3.Connection) -> None:
        """See `Projection.create`."""
        run_script(connection, "projections.views.triage", "schema.sql")

    def index(self, connection: sqlite3.Connection) -> None:
        """The key is the only index."""

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`. Facts stand in blocks of their own, told by the first row."""
        found: list[Decision] = []
        for segment in page.segments:
            position = segment.first
            for block in segment.raw_blocks():
                if block.events and codec.is_tagged(bytes(block.events[0]), _MARK):
                    for at, row in enumerate(block.events, position):
                        if page.after < at <= page.through and _KIND in (data := bytes(row)):
                            fact, place = codec.decode_event(data), (page.partition, at)
                            if isinstance(fact, Fact):
                                about = block.tenant, block.received_ns, place
                                decision = decision_of(fact, *about)
                                found += [] if decision is None else [decision]
                position += len(block.events)
        connection.executemany(_INSERT, found)

    def forget(self) -> None:
        """Nothing is looked up, so nothing is cached."""

"""Which services there are, and the names and kinds of their spans: what a user chooses from."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from projections.views.spans.filters import SQL
from projections.views.spans.rows import Rows, Shared, read_span

MOST_OPERATIONS: Final = 10_000
"""Of one service; names beyond are still found, and not listed: they hold ids."""
_KNOWN: Final = 200_000


class Naming:
    """Writes names that are new."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, int]] = set()
        self._services: dict[tuple[str, str], list[int]] = {}  # number, and operations

    def add(
        self,
        connection: sqlite3.Connection,
        shared: Shared,
        rows: Rows,
        raw: Sequence[msgspec.Raw],
    ) -> None:
        """Write the names of some rows, if they are not known."""
        names, places = np.unique(rows.names, return_index=True)
        for name, place in zip(names.tolist(), places.tolist(), strict=True):
            key = (shared.tenant, shared.service, name)
            if key in self._known:
                continue
            span = read_span(raw[place])
            if span is not None:
                self._add(connection, shared, span.name, span.kind)
            if len(self._known) >= _KNOWN:
                self._known.clear()
            self._known.add(key)

    def _add(self, connection: sqlite3.Connection, shared: Shared, name: str, kind: int) -> None:
        service = self._service(connection, shared)
        if service[1] < MOST_OPERATIONS:
            added = connection.execute(SQL["add_operation"], (service[0], name, kind))
            service[1] += added.rowcount

    def _service(self, connection: sqlite3.Connection, shared: Shared) -> list[int]:
        key = (shared.tenant, shared.service)
        held = self._services.get(key)
        if held is None:
            connection.execute(SQL["add_service"], key)
            (number,) = connection.execute(SQL["service_no"], key).fetchone()
            (count,) = connection.execute(SQL["count_operations"], (number,)).fetchone()
            if len(self._services) >= _KNOWN:
                self._services.clear()
            held = self._services[key] = [number, count]
        return held

    def forget(self) -> None:
        """Drop what is cached from the tables."""
        self._known.clear()
        self._services.clear()

"""The fold of `spans`: gathers the rows of blocks and writes each block once it is whole.

Positions behind the last whole block are in no table: who asks reads them in the log. So a block
is written once, however the pages are cut; what it needs of earlier pages is kept, or, after a
start, read in the log again.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from events.log.port import Page
from events.schema import RawBlock
from projections.engine.port import Projection
from projections.storage.statements import run_script
from projections.views.spans import blocks, filters
from projections.views.spans.filters import SQL
from projections.views.spans.naming import Naming
from projections.views.spans.rows import Rows, Shared, read_rows, shared_by
from projections.views.spans.shape import SHAPE, Shape, content_no

NAME: Final = "spans"
OFF: Final = "off"
"""In the configuration: nothing is kept, and nothing found."""


class _Piece(NamedTuple):
    """Rows of one block of the log, from a position on; all of one block of the index."""

    first: int
    rows: Rows
    shared: Shared

    @property
    def last(self) -> int:
        return self.first + len(self.rows.counts) - 1


class Spans:
    """Projection and fold in one."""

    name = NAME
    version = 3
    tables: Sequence[str] = (
        "search_block", "search_content", "search_filter", "search_filter_part", "search_service",
        "search_operation",
    )  # fmt: skip
    depends: Sequence[str] = ()

    def __init__(
        self, configuration: Mapping[str, Any] = MappingProxyType({}), shape: Shape = SHAPE
    ) -> None:
        self.projections: Sequence[Projection] = (self,)
        self.configuration = configuration
        self._shape = shape
        self._naming = Naming()
        self._open: dict[int, tuple[int, list[_Piece]]] = {}  # by partition: through, and what

    def create(self, connection: sqlite3.Connection) -> None:
        """See `Projection.create`."""
        run_script(connection, "projections.views.spans", "schema.sql")

    def index(self, connection: sqlite3.Connection) -> None:
        """The tables are an index."""

    def apply(self, connection: sqlite3.Connection, page: Page) -> None:
        """See `Fold.apply`."""
        if self.configuration.get(OFF):
            return
        through, pieces = self._open.pop(page.partition, (-1, []))
        if through != page.after:
            pieces = [*self._read_again(page)]
        size = self._shape.events
        for piece, raw in self._pieces(page):
            self._naming.add(connection, piece.shared, piece.rows, raw)
            pieces.append(piece)
            if piece.last % size == 0:
                self._write(connection, page.partition, piece.last // size - 1, pieces)
                pieces = []
        self._open[page.partition] = page.through, pieces

    def forget(self) -> None:
        """See `Fold.forget`."""
        self._open.clear()
        self._naming.forget()

    def _read_again(self, page: Page) -> Iterator[_Piece]:
        """What the block that is open has from before the page."""
        at = page.after - page.after % self._shape.events
        while at < page.after and page.log is not None:
            before = page.log.read(page.partition, at, through=page.after)
            if before.through == at:
                return
            yield from (piece for piece, _ in self._pieces(before))
            at = before.through

    def _pieces(self, page: Page) -> Iterator[tuple[_Piece, Sequence[msgspec.Raw]]]:
        """Pieces with the rows that they were made of, which nobody keeps: they may be large."""
        size = self._shape.events
        for segment in page.segments:
            first = segment.first
            for block in segment.raw_blocks():
                begin = max(first, page.after + 1)
                end = min(first + len(block.events), page.through + 1)
                while begin < end:
                    stop = min(end, begin + size - (begin - 1) % size)
                    yield _piece(block, first, begin, stop)
                    begin = stop
                first += len(block.events)

    def _write(
        self, connection: sqlite3.Connection, partition: int, block_no: int, pieces: list[_Piece]
    ) -> None:
        encoded = blocks.encode(
            *_columns(pieces, block_no * self._shape.events, self._shape.events)
        )
        if encoded.last_ns >= encoded.first_ns:
            connection.execute(
                SQL["add_block"],
                {
                    "partition": partition, "block_no": block_no, "first_ns": encoded.first_ns,
                    "last_ns": encoded.last_ns, "longest_ns": encoded.longest_ns,
                },
            )  # fmt: skip
            row = (content_no(partition, block_no), encoded.tokens, encoded.postings)
            connection.execute(SQL["add_content"], row)
        if (block_no + 1) % self._shape.blocks == 0:
            self._write_filter(connection, partition, block_no // self._shape.blocks)

    def _write_filter(self, connection: sqlite3.Connection, partition: int, filter_no: int) -> None:
        first = content_no(partition, filter_no * self._shape.blocks)
        bounds = (first, first + self._shape.blocks)
        found = dict(connection.execute(SQL["tokens_between"], bounds))
        held = (np.frombuffer(found.get(number, b""), "<u4") for number in range(*bounds))
        filters.write(connection, partition, filter_no, held)


def _piece(
    block: RawBlock, first: int, begin: int, stop: int
) -> tuple[_Piece, Sequence[msgspec.Raw]]:
    raw = block.events[begin - first : stop - first]
    shared = shared_by(block)
    return _Piece(begin, read_rows(raw, shared.seed), shared), raw


def _columns(pieces: Sequence[_Piece], before: int, size: int) -> tuple[Any, ...]:
    """What `blocks.encode` takes; `before` is the last position before the block."""
    places, tokens = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
    starts, ends = np.zeros(size, np.int64), np.zeros(size, np.int64)
    spans = np.zeros(size, np.bool_)
    for first, rows, shared in pieces:
        at = np.arange(first - before - 1, first - before - 1 + len(rows.counts))
        is_span = rows.counts >= 0
        starts[at], ends[at], spans[at] = rows.starts, rows.ends, is_span
        places += [np.repeat(at, np.maximum(rows.counts, 0))]
        places += [np.repeat(at[is_span], len(shared.tokens))]
        tokens += [rows.tokens, np.tile(shared.tokens, int(is_span.sum()))]
    return np.concatenate(places), np.concatenate(tokens), starts, ends, spans

"""Pages are bounded in bytes as well as in events, whatever a span weighs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from events.log.door import GroupDoor
from events.log.port import PAGE_BYTES, LogReader, Page
from events.log.reader import SqliteReader, open_reader
from projections.engine.pages import Pager, unpacked_ahead
from tests.events import make_batch, make_span

KIB = 1 << 10
WIDE = 128 * KIB
"""A prompt of a language model."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteReader]:
    """40 segments of 4 wide spans each: 20 MiB of content."""
    door = GroupDoor(tmp_path)
    for _ in range(40):
        door.append(make_batch([make_span(attributes={"prompt": "x" * WIDE}) for _ in range(4)]))
    door.close()
    reader = open_reader(tmp_path)
    yield reader
    reader.close()


def _pages(reader: LogReader, events: int, limit_bytes: int) -> list[Page]:
    pager = Pager(reader, 0, events, limit_bytes)
    pages = [pager.read(0)]
    while pages[-1].count:
        pages.append(pager.read(pages[-1].through))
    return pages[:-1]


@pytest.mark.parametrize(("limit_bytes", "count"), [(600 * KIB, 40), (3 << 20, 8), (PAGE_BYTES, 1)])
def test_a_page_of_wide_spans_is_cut_by_bytes(
    log: SqliteReader, limit_bytes: int, count: int
) -> None:
    """No page holds more than the bound, and every event is in exactly one."""
    pages = _pages(log, 50_000, limit_bytes)
    held = [sum(len(segment.content) for segment in page.segments) for page in pages]
    assert max(held) <= limit_bytes
    assert len(pages) == count
    assert [e.position for page in pages for e in page.recorded()] == list(range(1, 161))


def test_a_segment_beyond_the_bound_is_a_page_of_its_own(log: SqliteReader) -> None:
    """Otherwise it could never be read."""
    pages = _pages(log, 50_000, 100 * KIB)
    assert [page.count for page in pages] == [4] * 40


def test_a_segment_says_its_size_before_it_is_decompressed(log: SqliteReader) -> None:
    """The size in the payload's header is that of the content."""
    (segment,) = log.read(0, 0, limit_segments=1).segments
    assert segment.content_bytes == len(segment.content) > 4 * WIDE > 100 * len(segment.payload)


def test_no_more_rows_are_fetched_than_fit(log: SqliteReader) -> None:
    """The reader stops at the bound; it does not read 64 segments to drop most of them."""
    page = log.read(0, 0, limit_bytes=1100 * KIB)
    assert len(page.segments) == 2
    assert page.content_bytes <= 1100 * KIB


def test_reading_ahead_is_bounded_too(log: SqliteReader) -> None:
    """While a page is in use only the next one is read, and both keep to the bound."""
    reads: list[Page] = []

    class Watched(Pager):
        def read(self, after: int, through: int | None = None) -> Page:
            reads.append(super().read(after, through))
            return reads[-1]

    pager = Watched(log, 0, 50_000, 1100 * KIB)
    for used, page in enumerate(unpacked_ahead(pager, 0, 160), 1):
        assert len(reads) <= used + 1
        assert page.content_bytes <= 1100 * KIB
    assert sum(page.count for page in reads) == 160

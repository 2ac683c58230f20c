"""Pages of about a wanted number of events and bounded in bytes, from segments of any size; how a
page is cut, and how it must follow the one before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Final

from events.errors import BadInput, LogDamaged
from events.log.chain import segment_hash
from events.log.port import PAGE_BYTES, LogReader, Page
from projections.storage.deadletters import Poison

_SEGMENTS: Final = 64
_LARGE_SEGMENT: Final = 4096


class Pager:
    """Reads pages of one partition; learns how many segments make about `events` events.

    A page ends before `limit_bytes` of content, however few events those are; only a segment
    that has more by itself makes a larger page.
    """

    def __init__(
        self, reader: LogReader, partition: int, events: int, limit_bytes: int = PAGE_BYTES
    ) -> None:
        self._reader = reader
        self._partition = partition
        self._events = events
        self._limit_bytes = limit_bytes
        self._segments = max(1, events // _LARGE_SEGMENT)

    def read(self, after: int, through: int | None = None) -> Page:
        """The next page; `page.through == after` at the end."""
        pages: list[Page] = []
        count, at, room = 0, after, self._limit_bytes
        while count < self._events and room > 0:
            limit = min(self._segments, _SEGMENTS)
            page = self._reader.read(
                self._partition, at, through=through, limit_segments=limit, limit_bytes=room
            )
            if page.through == at or (pages and page.content_bytes > room):
                break
            pages.append(page)
            at, count, room = page.through, count + page.count, room - page.content_bytes
            self._segments = max(1, self._events * len(page.segments) // max(page.count, 1))
            if len(page.segments) < limit:
                break
        segments = tuple(segment for page in pages for segment in page.segments)
        return Page(self._partition, after, at, segments, self._reader)


def unpacked_ahead(pager: Pager, after: int, through: int) -> Iterator[Page]:
    """The pages after `after` up to `through`; while one is in use the next one is unpacked.

    Decompressing and digesting do not hold the interpreter's lock, so a second core can do it.

    Raises:
        BadInput: the log ends before `through`.
    """
    with ThreadPoolExecutor(1, "unpack") as thread:
        page = pager.read(after, through)
        while page.through > page.after:
            following = pager.read(page.through, through) if page.through < through else None
            if following is not None:
                thread.submit(_unpack, following)
            yield page
            if following is None:
                return
            page = following
    if page.through < through:
        raise BadInput(f"the log ends at position {page.through}, before {through}")


def _unpack(page: Page) -> None:
    with suppress(LogDamaged):  # raised again where the content is used
        for segment in page.segments:
            _ = segment.content


def bounded(page: Page, after: int, through: int) -> Page:
    """The part of a page after `after`, up to and with `through`."""
    held = tuple(s for s in page.segments if s.last > after and s.first <= through)
    return Page(page.partition, after, through, held, page.log)


def follows(page: Page, previous: bytes) -> None:
    """Check that a page is the log's continuation of what ended with the hash `previous`.

    Raises:
        LogDamaged: a segment is missing, was altered, or belongs to another history.
    """
    for number, segment in enumerate(page.segments):
        inside = number == 0 and segment.first <= page.after
        if previous != (segment.hash if inside else segment.previous_hash):
            raise LogDamaged(
                f"segment at position {segment.first} does not follow what was read before it",
                position=segment.first,
            )
        if segment.hash != segment_hash(
            segment.previous_hash, segment.first, segment.count, segment.committed_ns,
            segment.ids, segment.digest,
        ):  # fmt: skip
            raise LogDamaged(
                f"segment at position {segment.first}: its header or ids were altered",
                position=segment.first,
            )
        previous = segment.hash


def split(page: Page, error: Exception) -> list[Page]:
    """Parts of a page that failed: around the event that is blamed, else its halves."""
    middle = (page.after + page.through) // 2
    cuts = [page.after, middle, page.through]
    if isinstance(error, Poison) and page.after < error.position <= page.through:
        cuts = sorted({page.after, error.position - 1, error.position, page.through})
    return [bounded(page, a, b) for a, b in pairwise(cuts)]

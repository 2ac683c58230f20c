"""What one read of the live tail holds: about a megabyte, and segments that all streams share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from events.log.door import GroupDoor
from events.names import DEFAULT_TENANT
from projections.query.log import Log
from service.api.events import EventsQuestion, Tail
from service.api.recent import Recent
from tests.events import make_batch, make_span

MIB = 1 << 20
SPANS = 64


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """Two segments of 32 spans of 128 KiB each."""
    door = GroupDoor(tmp_path)
    wide = {"prompt": "x" * (128 << 10)}
    for _ in range(2):
        door.append(make_batch([make_span(attributes=wide) for _ in range(SPANS // 2)]))
    door.close()
    log = Log(tmp_path)
    yield log
    log.close()


def test_a_read_of_wide_spans_is_bounded_in_bytes(log: Log) -> None:
    """A read ends behind the span that fills a megabyte; the next goes on behind that one."""
    tail = Tail(Recent(log), DEFAULT_TENANT, EventsQuestion(), 0)
    texts = []
    while text := tail.read():
        texts.append(text)
    assert max(map(len, texts)) < 1.5 * MIB
    positions = [int(line[4:]) for t in texts for line in t.splitlines() if line[:4] == b"id: "]
    assert positions == list(range(1, SPANS + 1))


def test_streams_share_segments(log: Log) -> None:
    """Two places in one segment are read from the same segment, decompressed once."""
    recent = Recent(log)
    first, second = recent.after(0), recent.after(7)
    assert first.segments[0] is second.segments[0]
    assert (second.after, second.through) == (7, SPANS // 2)


def test_what_is_kept_is_bounded(log: Log) -> None:
    """The oldest segment goes when another would not fit."""
    recent = Recent(log, kept_bytes=5 * MIB)
    first = recent.after(0).segments[0]
    recent.after(first.last)
    assert recent.after(0).segments[0] is not first
    assert recent.after(SPANS).count == 0

"""Following the log: each event once and in order, over restarts, and no other log's events."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events.errors import LogDamaged
from events.log import sqlite
from events.log.follower import Follower, pages
from events.log.memory import MemoryLog
from events.log.port import Page
from events.log.reader import open_reader
from events.log.writer import LogWriter
from tests.events import make_batch, make_span


def write(data: Path, count: int) -> None:
    """Append so many events, each a segment of its own, by a writer that comes and goes."""
    with closing(LogWriter(data)) as writer:
        for _ in range(count):
            writer.append_group([make_batch([make_span()])])


def follow(data: Path, happenings: Iterator[None]) -> Iterator[Page]:
    """Follow `data` from its beginning; at the head the next thing happens, then it ends."""

    class Over(Exception):
        pass

    def rest(_: float) -> None:
        if next(happenings, Over) is Over:
            raise Over

    with closing(Follower(data, open_reader(data), 0, rest=rest)) as follower:
        try:
            yield from follower
        except Over:
            return


def move_in(other: Path, data: Path) -> None:
    """Put another log's file in the place of this one."""
    for file in data.glob(f"{sqlite.FILE}*"):
        file.unlink()
    shutil.copy(other / sqlite.FILE, data / "new")
    (data / "new").rename(data / sqlite.FILE)


def test_what_is_appended_later_comes_once(tmp_path: Path) -> None:
    """Also when the writer ended in between."""
    write(tmp_path, 3)

    def happenings() -> Iterator[None]:
        write(tmp_path, 2)
        yield
        write(tmp_path, 1)
        yield

    seen = [event.position for page in follow(tmp_path, happenings()) for event in page.recorded()]
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_restored_copy_that_goes_on_is_followed(tmp_path: Path) -> None:
    """The same log in a new file, with more in it."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    write(data, 3)
    shutil.copytree(data, copy)

    def happenings() -> Iterator[None]:
        write(copy, 2)
        move_in(copy, data)
        yield

    seen = [event.position for page in follow(data, happenings()) for event in page.recorded()]
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("another", "it is log"), ("older", "an older copy"), ("forked", "other events")],
)
def test_any_other_log_in_its_place_is_damage(kind: str, words: str, tmp_path: Path) -> None:
    """Another log, an older copy, and a copy that went another way."""
    data, other = tmp_path / "data", tmp_path / "other"
    write(data, 1)
    if kind == "another":
        write(other, 9)
    else:
        shutil.copytree(data, other)
    if kind == "forked":
        write(other, 2)
    write(data, 2)

    def happenings() -> Iterator[None]:
        move_in(other, data)
        yield

    with pytest.raises(LogDamaged, match=words):
        list(follow(data, happenings()))


def test_pages_are_bounded_in_bytes() -> None:
    """However large the log, one page holds no more than it is told, or one segment."""
    log = MemoryLog()
    for _ in range(6):
        log.append(make_batch([make_span(name="x" * 1000)]))
    size = log.read(0, 0).segments[0].content_bytes
    assert [page.count for page in pages(log, 0, limit_bytes=2 * size + size // 2)] == [2, 2, 2]
    assert [page.count for page in pages(log, 0, limit_bytes=1)] == [1] * 6
    assert [page.through for page in pages(log, 1, through=3)] == [3]

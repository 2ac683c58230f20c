"""The projector follows a real log and keeps its checkpoints honest."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events.errors import LogDamaged, Unavailable, ViewsDamaged
from events.log.door import GroupDoor
from events.log.memory import MemoryLog
from events.log.reader import open_reader
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.storage.checkpoint import LostRace
from projections.storage.generation import connect_reader
from tests.events import make_batch, make_log, make_span
from tests.toyfold import make_toys, rows


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


def _projector(data: Path, **changes: object) -> Projector:
    return Projector(data, lambda: open_reader(data), make_toys(), **changes)  # type: ignore[arg-type]


def _settle(projector: Projector) -> None:
    while projector.step():
        pass


def test_it_follows_the_log_while_it_runs(tmp_path: Path, door: GroupDoor) -> None:
    """What is appended while the loop runs is seen within moments, and `wait` tells."""
    projector = _projector(tmp_path)
    stop = threading.Event()
    loop = threading.Thread(target=projector.run, args=(stop,))
    loop.start()
    try:
        for _ in range(5):
            through = door.append(make_batch([make_span(), make_log()])).through
            assert projector.wait(through, timeout_s=10) >= through
        with closing(connect_reader(tmp_path / "views.db")) as views:
            assert dict(row[1:] for row in rows(views, "toy_counts")) == {"span.v1": 5, "log.v1": 5}
        told = status(projector)
        assert {p["status"] for p in told["projections"]} == {"running"}
        assert {p["position"] for p in told["projections"]} == {"10"}
    finally:
        stop.set()
        loop.join()


def test_it_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    """A projector that starts before the writer picks the log up when it comes."""
    projector = _projector(tmp_path)
    stop = threading.Event()
    loop = threading.Thread(target=projector.run, args=(stop,))
    loop.start()
    time.sleep(0.1)
    door = GroupDoor(tmp_path)
    try:
        through = door.append(make_batch([make_span()])).through
        assert projector.wait(through, timeout_s=10) == 1
    finally:
        stop.set()
        loop.join()
        door.close()


def test_wait_gives_up_in_time(tmp_path: Path, door: GroupDoor) -> None:
    """A position that never comes is answered with where the views are."""
    door.append(make_batch([make_span()]))
    projector = _projector(tmp_path)
    _settle(projector)
    with pytest.raises(Unavailable, match="position 1"):
        projector.wait(2, timeout_s=0.1)
    projector.close()


def test_pages_may_end_anywhere(tmp_path: Path, door: GroupDoor) -> None:
    """A projector that is closed and opened between pages applies each event once."""
    for _ in range(4):
        door.append(make_batch([make_span() for _ in range(7)]))
        projector = _projector(tmp_path)
        _settle(projector)
        projector.close()
    with closing(connect_reader(tmp_path / "views.db")) as views:
        assert rows(views, "toy_counts") == [("default", "span.v1", 28)]


def test_a_stale_projector_commits_nothing(tmp_path: Path, door: GroupDoor) -> None:
    """Whoever opens the views takes them over; the former owner's pages are refused."""
    door.append(make_batch([make_span()]))
    stale, fresh = _projector(tmp_path), _projector(tmp_path)
    stale.open()
    fresh.open()
    with pytest.raises(LostRace):
        stale.step()
    _settle(fresh)
    with closing(connect_reader(tmp_path / "views.db")) as views:
        assert rows(views, "toy_counts") == [("default", "span.v1", 1)]
    stale.close()
    fresh.close()


def test_views_of_another_log_are_reported(tmp_path: Path, door: GroupDoor) -> None:
    """An exchanged log is noticed before anything of it is applied."""
    door.append(make_batch([make_span()]))
    projector = _projector(tmp_path)
    _settle(projector)
    projector.close()
    other = MemoryLog()
    with pytest.raises(ViewsDamaged, match=other.log_id):
        Projector(tmp_path, lambda: other, make_toys()).open()


def test_an_older_copy_of_the_log_is_reported(tmp_path: Path) -> None:
    """A log that ends before the checkpoint stops the projector with a message."""
    door = GroupDoor(tmp_path)
    door.append(make_batch([make_span()]))
    door.close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "older.db")
    door = GroupDoor(tmp_path)
    door.append(make_batch([make_span()]))
    projector = _projector(tmp_path)
    _settle(projector)
    projector.close()
    door.close()
    shutil.copy(tmp_path / "older.db", tmp_path / "ledger.db")
    with pytest.raises(LogDamaged, match="position 2"):
        _projector(tmp_path).open()


def test_damage_stops_the_feeding_and_is_told(tmp_path: Path, door: GroupDoor) -> None:
    """The loop lives on to say what is wrong."""
    door.append(make_batch([make_span()]))
    projector = _projector(tmp_path)
    _settle(projector)
    projector.close()
    other = MemoryLog()
    broken = Projector(tmp_path, lambda: other, make_toys())
    stop = threading.Event()
    loop = threading.Thread(target=broken.run, args=(stop,))
    loop.start()
    while broken.failure is None:
        time.sleep(0.01)
    assert "exchanged" in status(broken)["failure"]
    stop.set()
    loop.join()


def test_four_partitions_are_followed(tmp_path: Path) -> None:
    """Each partition has its own checkpoint, and every event is applied once."""
    log = MemoryLog(partitions=4)
    for _ in range(10):
        log.append(make_batch([make_span() for _ in range(13)]))
    projector = Projector(tmp_path, lambda: log, make_toys())
    _settle(projector)
    heads = {p: log.head(p).position for p in log.partitions}
    assert {c.partition: c.position for c in projector.live().checkpoints} == heads
    projector.close()
    with closing(connect_reader(tmp_path / "views.db")) as views:
        assert rows(views, "toy_counts") == [("default", "span.v1", 130)]


def test_readers_never_block_the_feeding(tmp_path: Path, door: GroupDoor) -> None:
    """A reader that holds a snapshot sees it unchanged while pages are applied."""
    door.append(make_batch([make_span()]))
    projector = _projector(tmp_path)
    _settle(projector)
    with closing(connect_reader(tmp_path / "views.db")) as reader:
        reader.execute("BEGIN")
        before = rows(reader, "toy_counts")
        door.append(make_batch([make_span()]))
        _settle(projector)
        assert rows(reader, "toy_counts") == before
        reader.execute("COMMIT")
        assert rows(reader, "toy_counts") == [("default", "span.v1", 2)]
        with pytest.raises(sqlite3.OperationalError):
            reader.execute("DELETE FROM toy_counts")
    projector.close()

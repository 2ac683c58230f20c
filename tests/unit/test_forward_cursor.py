"""What the forwarder keeps: cursors move by compare-and-set, parked runs with them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from events.errors import CommitFailed, Damaged
from service.forward.cursor import FILE, CursorStore, Parked
from service.forward.sender import join_runs


def bad(first: int, last: int, error: str = "bad", partial: bool = False) -> Parked:
    return Parked(0, first, last, last - first + 1, partial, error)


def test_a_cursor_moves_only_from_where_it_was(tmp_path: Path) -> None:
    """A cursor put elsewhere stays there, and nothing of the voided window is counted."""
    with closing(CursorStore(tmp_path)) as store:
        store.add_target("jaeger", "otlp+grpc://jaeger")
        store.place("jaeger", 0, 5, b"h5", "log")
        (place,) = store.places("jaeger").values()
        through = place._replace(position=9, hash=b"h9")
        assert store.advance("jaeger", place, through, 3, [bad(6, 6)])
        store.place("jaeger", 0, 5, b"h5", "log")
        assert not store.advance("jaeger", place, through, 3, [bad(6, 6)])
        (target,) = store.targets()
        assert (target.sent, target.refused, target.parked) == (3, 1, 1)
        assert store.places("jaeger")[0].position == 5


def test_what_is_kept_outlives_the_process(tmp_path: Path) -> None:
    """Cursor, flag and parked runs are there when the file is opened again."""
    with closing(CursorStore(tmp_path)) as store:
        store.add_target("jaeger", "otlp+grpc://jaeger")
        store.place("jaeger", 0, 5, b"h5", "log")
        store.set_paused("jaeger", True)
    with closing(CursorStore(tmp_path)) as store:
        store.add_target("jaeger", "otlp+grpc://jaeger.example")
        assert store.paused("jaeger")
        assert store.places("jaeger")[0].position == 5
        assert store.targets()[0].url == "otlp+grpc://jaeger.example"


def test_a_disk_that_refuses_is_reported(tmp_path: Path) -> None:
    """A write that cannot be committed is an error, and changes nothing."""
    with closing(CursorStore(tmp_path)) as store:
        store.add_target("jaeger", "otlp+grpc://jaeger")
        store._connection.execute("PRAGMA query_only = ON")
        with pytest.raises(CommitFailed):
            store.set_paused("jaeger", True)
        store._connection.execute("PRAGMA query_only = OFF")
        assert not store.paused("jaeger")


def test_a_file_that_cannot_be_understood_is_reported(tmp_path: Path) -> None:
    """A damaged file and one of a newer release are not written over."""
    (tmp_path / FILE).write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(Damaged, match="damaged"):
        CursorStore(tmp_path)
    newer = tmp_path / "newer"
    newer.mkdir()
    with closing(sqlite3.connect(newer / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(Damaged, match="newer release"):
        CursorStore(newer)


def test_neighbours_are_parked_as_one_run() -> None:
    """Refusals of one reason at adjacent positions are joined; others are not."""
    runs = [bad(3, 3), bad(1, 1), bad(2, 2), bad(4, 4, "worse"), bad(6, 6), bad(7, 9, "bad", True)]
    assert join_runs(runs) == [
        bad(1, 3),
        bad(4, 4, "worse"),
        bad(6, 6),
        bad(7, 9, "bad", True),
    ]

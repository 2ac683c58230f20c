"""Generations: names given once, the active one switched by a link."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from events.errors import BadInput, ViewsDamaged
from projections.engine.rebuilding import plan
from projections.engine.rebuilding.plan import Plan
from projections.storage.generation import Generations, connect, connect_reader


def test_a_number_is_given_once(tmp_path: Path) -> None:
    """Not again after its file is gone, nor when the record is lost but the file is there."""
    generations = Generations(tmp_path)
    assert [generations.reserve(), generations.reserve()] == [1, 2]
    generations.path(2).touch()
    generations.remove(2)
    assert generations.reserve() == 3
    generations.path(3).touch()
    (tmp_path / "views.number").unlink()
    assert generations.reserve() == 4


def test_switching_leaves_open_readers_alone(tmp_path: Path) -> None:
    """Who has the former file open goes on in it; who opens the link gets the new one."""
    generations = Generations(tmp_path)
    assert generations.active() is None
    for number in (1, 2):
        with closing(connect(generations.path(number))) as views:
            views.execute("CREATE TABLE shown (number INTEGER) STRICT")
            views.execute("INSERT INTO shown VALUES (?)", (number,))
    generations.activate(1)
    with closing(connect_reader(tmp_path / "views.db")) as early:
        generations.activate(2)
        assert generations.active() == 2
        assert early.execute("SELECT number FROM shown").fetchone() == (1,)
        with closing(connect_reader(tmp_path / "views.db")) as late:
            assert late.execute("SELECT number FROM shown").fetchone() == (2,)
    assert generations.numbers() == [1, 2]


def test_a_link_to_nothing_is_damage(tmp_path: Path) -> None:
    """A dangling link, and a file where the link should be, are reported."""
    generations = Generations(tmp_path)
    generations.activate(7)
    with pytest.raises(ViewsDamaged, match=r"views-7\.db"):
        generations.active()
    (tmp_path / "views.db").unlink()
    (tmp_path / "views.db").touch()
    with pytest.raises(ViewsDamaged, match="not a link"):
        generations.active()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a b"])
def test_names_of_past_views_make_file_names(tmp_path: Path, name: str) -> None:
    """Nothing that leaves the folder or hides in it is a name."""
    with pytest.raises(BadInput):
        Generations(tmp_path).past(name)


def test_past_views_are_listed_apart(tmp_path: Path) -> None:
    """A view of the past is no generation, and may not be written through a reader."""
    generations = Generations(tmp_path)
    path = generations.past("january")
    with closing(sqlite3.connect(path)) as views:
        views.execute("CREATE TABLE t (a INTEGER)")
    assert generations.pasts() == ["january"]
    assert generations.numbers() == []
    with closing(connect_reader(path)) as views, pytest.raises(sqlite3.OperationalError):
        views.execute("DELETE FROM t")


def test_a_plan_survives_and_a_torn_one_is_none(tmp_path: Path) -> None:
    """What is on record comes back; a file that is no plan counts as none."""
    wanted = Plan(3, ("tasks",), {0: 5}, "then", "cancelled")
    plan.store(tmp_path, wanted)
    assert plan.load(tmp_path) == wanted
    (tmp_path / plan.FILE).write_bytes(b'{"number": 3, "na')
    assert plan.load(tmp_path) is None
    plan.clear(tmp_path)
    plan.clear(tmp_path)

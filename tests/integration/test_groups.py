"""Groups stand alone: one that fails, is paused or lags takes nothing from the others."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.errors import Unavailable
from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.engine import spool, view
from projections.engine.parked import Parked
from projections.engine.parking import RebuildStopped
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.queries import Queries
from projections.query.status import ProjectionList
from tests.events import BASE_NS, make_batch, make_span
from tests.toygroup import NAME, MakeTallied
from tests.views import tables_of

TALLY = {"toy_tally", "toy_tally_task"}
OURS = {"dead_letter", "spool", "configuration"}

Tables = dict[str, list[str]]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def make() -> MakeTallied:
    """This release with one group more; its `poison` may be changed."""
    return MakeTallied()


@pytest.fixture
def projector(tmp_path: Path, make: MakeTallied, door: GroupDoor) -> Iterator[Projector]:
    projector = _projector(tmp_path, make)
    yield projector
    projector.close()


def _projector(data: Path, make: MakeTallied) -> Projector:
    return Projector(data, lambda: open_reader(data), make)


def _settle(projector: Projector) -> None:
    while projector.step():
        pass


def _attempts(door: GroupDoor, *runs: int) -> None:
    """An attempt of each of these runs, in one batch; runs are numbered from 1 as they come."""
    door.append(
        make_batch(
            [
                make_span(task=f"task-{run % 5}", run=f"run-{run}", start_ns=BASE_NS + run * 10**6)
                for run in runs
            ]
        )
    )


def _tables(path: Path) -> Tables:
    """The tables of the projections."""
    return _without(tables_of(path), OURS)


def _clean(tmp_path: Path) -> Tables:
    """What a fold without any failure makes of the same log."""
    folder = tmp_path / "clean"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    with closing(Projector(folder, lambda: open_reader(tmp_path), MakeTallied())) as projector:
        projector.open()
        _settle(projector)
    return _tables(folder / "views.db")


def _told(projector: Projector) -> dict[str, tuple[str, str]]:
    return {p["name"]: (p["status"], p["position"]) for p in status(projector)["projections"]}


def _without(tables: Tables, names: set[str]) -> Tables:
    return {name: rows for name, rows in tables.items() if name not in names}


def _finish(steps: Iterator[dict[str, Any]]) -> None:
    for _ in steps:
        pass


def test_a_group_that_fails_parks_runs_under_its_own_name(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """Every other table is that of a clean fold, and its own lack this run and nothing else."""
    make.poison = {7}
    _attempts(door, *range(1, 41))
    _settle(projector)
    (letter,) = Parked(projector).listing()
    assert (letter.projection, letter.run_no, letter.error) == (NAME, 7, "KeyError: 'run 7'")
    rows, clean = _tables(tmp_path / "views.db"), _clean(tmp_path)
    assert _without(rows, TALLY) == _without(clean, TALLY)
    assert rows["toy_tally"] == [row for row in clean["toy_tally"] if row != "(7, 1)"]
    assert {p["dead_letters"] for p in status(projector)["projections"]} == {0, 1}
    assert set(_told(projector).values()) == {("running", "40")}


def test_later_changes_of_a_parked_run_wait_with_it(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """Held back they are one change; the first that works brings the group up to date."""
    _attempts(door, *range(1, 21))
    _settle(projector)
    make.poison = {3, 4}
    for _ in range(3):
        _attempts(door, 3, 4, 5)
        _settle(projector)
    letters = Parked(projector).listing()
    assert [(one.run_no, one.position) for one in letters] == [(3, 29), (4, 29)]
    assert "(3, 1)" in _tables(tmp_path / "views.db")["toy_tally"]
    make.poison = {4}
    _attempts(door, 3)
    _settle(projector)
    assert [one.run_no for one in Parked(projector).listing()] == [4]
    assert "(3, 5)" in _tables(tmp_path / "views.db")["toy_tally"]
    assert len(Parked(projector).requeue()) == 1
    make.poison = set()
    assert Parked(projector).requeue() == []
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_letters_outlive_a_restart(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """What is held lies in the file: another process goes on from it."""
    make.poison = {2}
    _attempts(door, 1, 2, 3)
    _settle(projector)
    projector.close()
    make.poison = set()
    _attempts(door, 2)
    with closing(_projector(tmp_path, make)) as later:
        _settle(later)
        assert Parked(later).listing() == []
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_a_discarded_run_counts_no_more(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """It is on record, and a later change that can be applied settles it all the same."""
    make.poison = {2}
    _attempts(door, 1, 2, 3)
    _settle(projector)
    parked = Parked(projector)
    parked.discard([parked.listing()[0].id])
    _attempts(door, 2)
    _settle(projector)
    assert [(one.run_no, one.state) for one in parked.listing()] == [(2, "discarded")]
    assert parked.requeue() == []
    make.poison = set()
    _attempts(door, 2)
    _settle(projector)
    assert parked.listing() == []
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


@pytest.mark.parametrize("names", [None, [NAME], ["runs"]])
def test_rebuilds_accept_known_letters(
    tmp_path: Path,
    door: GroupDoor,
    projector: Projector,
    make: MakeTallied,
    names: list[str] | None,
) -> None:
    """By group and run; what they hold goes on to be settled in the new generation."""
    make.poison = {2}
    _attempts(door, *range(1, 12))
    _settle(projector)
    _finish(projector.rebuild(names))
    assert [(one.projection, one.run_no) for one in Parked(projector).listing()] == [(NAME, 2)]
    make.poison = set()
    _attempts(door, 2)
    _settle(projector)
    assert Parked(projector).listing() == []
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_a_rebuild_stops_at_a_run_that_is_no_letter(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """It names group and run; once rebuilds may leave it out, it goes through."""
    _attempts(door, *range(1, 12))
    _settle(projector)
    make.poison = {5}
    with pytest.raises(RebuildStopped, match=f"--projection {NAME} --run 5"):
        _finish(projector.rebuild([NAME]))
    Parked(projector).discard_run(NAME, 5)
    _finish(projector.rebuild([NAME]))
    assert "(5, 1)" not in _tables(tmp_path / "views.db")["toy_tally"]


def test_a_broken_group_is_paused_alone(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """More than 1 %: it stands still behind that page, the others go on, and it catches up."""
    make.poison = set(range(1, 200))
    _attempts(door, *range(1, 151))
    _settle(projector)
    _attempts(door, *range(100, 300))
    _settle(projector)
    told = _told(projector)
    assert told.pop(NAME) == ("paused", "150")
    assert set(told.values()) == {("running", "350")}
    rows, clean = _tables(tmp_path / "views.db"), _clean(tmp_path)
    assert _without(rows, TALLY) == _without(clean, TALLY)
    make.poison = set()
    projector.resume()
    _settle(projector)
    Parked(projector).requeue()
    assert _told(projector)[NAME] == ("running", "350")
    assert _tables(tmp_path / "views.db") == clean
    assert _spooled(projector) == 0


def test_a_paused_group_catches_up_after_a_restart(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied
) -> None:
    """What it missed is in the file; nobody waits for it, and answers say how far it is."""
    _attempts(door, *range(1, 31))
    _settle(projector)
    projector.pause([NAME, "traces"])
    for first in (1, 20, 40):
        _attempts(door, *range(first, first + 30))
        _settle(projector)
    told = _told(projector)
    assert told.pop(NAME) == told.pop("traces") == ("paused", "30")
    assert set(told.values()) == {("running", "120")}
    assert projector.wait(120, ["runs", "tasks"], timeout_s=0.1) == 120
    with pytest.raises(Unavailable, match="position 30"):
        projector.wait(120, timeout_s=0.05)
    assert _spooled(projector) == 3
    projector.close()
    with closing(_projector(tmp_path, make)) as later:
        _settle(later)
        assert set(_told(later).values()) == {("running", "120")}
        assert _spooled(later) == 0
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_a_spool_that_is_full_is_dropped_and_its_group_rebuilt(
    tmp_path: Path, door: GroupDoor, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound holds; the group is made anew from the log by itself, and nobody waited."""
    monkeypatch.setattr(spool, "LIMIT_BYTES", 1_000)
    _attempts(door, *range(1, 31))
    _settle(projector)
    first = projector.active_generation
    projector.pause([NAME])
    while not projector.live().lost():
        _attempts(door, *range(1, 31))
        _settle(projector)
    assert _spooled(projector) == 0
    projector._tidied_s = 0.0
    projector.step()
    _finish(projector.follow())
    _settle(projector)
    assert projector.active_generation != first
    assert len({position for _, position in _told(projector).values()}) == 1
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_one_group_is_rebuilt_while_another_is_behind(
    tmp_path: Path, door: GroupDoor, projector: Projector
) -> None:
    """The copy takes the spool along."""
    _attempts(door, *range(1, 31))
    _settle(projector)
    projector.pause(["task_metrics"])
    _attempts(door, *range(10, 50))
    _settle(projector)
    _finish(projector.rebuild([NAME]))
    _settle(projector)
    assert len({position for _, position in _told(projector).values()}) == 1
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_a_slow_group_is_left_behind_and_catches_up(
    tmp_path: Path,
    door: GroupDoor,
    projector: Projector,
    make: MakeTallied,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others go on without it; it gets its turns, and takes part again in the end."""
    monkeypatch.setattr(view, "SLOW_S", 0.5)
    make.slow_s = 1.5
    _attempts(door, *range(1, 31))
    assert projector.step()
    assert projector.live().slow == {NAME}
    make.slow_s = 0.01
    for first in (1, 20, 40):
        _attempts(door, *range(first, first + 30))
        projector.step()
        told = _told(projector)
        del told[NAME]
        assert set(told.values()) == {("running", str(projector.reader().head().position))}
    make.slow_s = 0.0
    _settle(projector)
    assert set(_told(projector).values()) == {("running", "120")}
    assert projector.live().slow == set()
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def test_an_event_is_not_requeued_over_groups_that_would_miss_it(
    door: GroupDoor, projector: Projector
) -> None:
    """A fact's letter waits until every group has caught up."""
    _attempts(door, 1)
    _settle(projector)
    Parked(projector).discard_event("facts", 1)
    projector.pause([NAME])
    with pytest.raises(Unavailable, match=NAME):
        projector.live().requeue(Parked(projector).listing()[0].id, projector.reader())


def test_readers_of_the_views_are_told_the_states(
    tmp_path: Path, door: GroupDoor, projector: Projector
) -> None:
    """The API and the command line say who is paused or behind, since when and why."""
    _attempts(door, *range(1, 11))
    _settle(projector)
    projector.pause([NAME], "by hand")
    _attempts(door, *range(1, 11))
    _settle(projector)
    projector.note_states()
    told = _answered(tmp_path)
    assert told.pop(NAME) == ("paused", "10", "by hand")
    assert set(told.values()) == {("running", "20", None)}
    since = next(p["since"] for p in status(projector)["projections"] if p["name"] == NAME)
    assert since > BASE_NS
    projector.live().paused.clear()
    projector.note_states()
    assert _answered(tmp_path)[NAME] == ("behind", "10", None)
    _settle(projector)
    projector.note_states()
    assert set(_answered(tmp_path).values()) == {("running", "20", None)}


def _answered(data: Path) -> dict[str, tuple[str, str, str | None]]:
    with closing(Queries(data)) as queries:
        answer = queries.answer("projections", {})
    assert isinstance(answer, ProjectionList)
    return {p.name: (p.state, p.position, p.failure) for p in answer.items}


@pytest.mark.parametrize("seed", range(6))
def test_whatever_fails_and_lags_the_end_is_that_of_a_clean_fold(
    tmp_path: Path, door: GroupDoor, projector: Projector, make: MakeTallied, seed: int
) -> None:
    """Failures come and go, groups are paused and resumed, the process restarts, at random."""
    chance = random.Random(seed)
    current = projector
    for _ in range(25):
        match chance.randrange(6):
            case 0:
                make.poison = set(chance.sample(range(1, 40), chance.randrange(4)))
            case 1:
                current.pause([chance.choice([NAME, "tasks", "runs", "error_patterns"])])
            case 2:
                current.resume()
            case 3:
                current.close()
                current = _projector(tmp_path, make)
            case _:
                _attempts(door, *(chance.randrange(1, 40) for _ in range(chance.randrange(1, 9))))
        _settle(current)
    make.poison = set()
    current.resume()
    _settle(current)
    assert Parked(current).requeue() == []
    assert set(_told(current).values()) == {("running", str(current.reader().head().position))}
    current.close()
    assert _tables(tmp_path / "views.db") == _clean(tmp_path)


def _spooled(projector: Projector) -> int:
    connection: sqlite3.Connection = projector.live().connection
    count: int = connection.execute("SELECT count(*) FROM spool").fetchone()[0]
    return count

"""What a group is: its name, the version of its code, and its configuration, kept with its file."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.fold import FactsProjection
from projections.storage import configuration
from projections.storage.generation import complete, connect_reader
from tests.events import make_batch, make_span
from tests.toygroup import ALONE, NAME, MakeTallied


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def data(tmp_path: Path, door: GroupDoor) -> Path:
    """Ten runs, folded by a release that has the group `tally` with factor 1."""
    _append(door, 10)
    with closing(_projector(tmp_path, MakeTallied())) as projector:
        projector.open()
        _settle(projector)
    return tmp_path


def _append(door: GroupDoor, count: int) -> None:
    door.append(make_batch([make_span(task=f"t{n}", run=f"r{n}") for n in range(count)]))


def _projector(data: Path, make: MakeTallied) -> Projector:
    return Projector(data, lambda: open_reader(data), make)


def _settle(projector: Projector) -> None:
    while projector.step():
        pass


def _counted(data: Path) -> int:
    with closing(connect_reader(data / "views.db")) as views:
        counted: int = views.execute("SELECT sum(attempts) FROM toy_tally").fetchone()[0]
        return counted


def _told(projector: Projector) -> dict[str, tuple[str, str]]:
    return {p["name"]: (p["status"], p["position"]) for p in status(projector)["projections"]}


def _rebuilt(projector: Projector) -> list[str]:
    """What the projector rebuilds by itself when it is opened."""
    projector.opened()
    for _ in projector.follow():
        pass
    _settle(projector)
    answer = projector.rebuild_status()
    assert answer is not None
    names: list[str] = answer["names"]
    return names


def test_a_new_configuration_is_built_beside_the_old_one_which_stays_fed(
    data: Path, door: GroupDoor
) -> None:
    """Until the switch rows are made as they were begun; after it as it is set now."""
    with closing(_projector(data, MakeTallied(factor=3))) as projector:
        projector.open()
        _append(door, 10)
        _settle(projector)
        assert _counted(data) == 20
        assert set(_told(projector).values()) == {("running", "20")}
        assert _rebuilt(projector) == [NAME]
        assert _counted(data) == 60
        _append(door, 10)
        _settle(projector)
        assert _counted(data) == 90
        projector.rollback()
        _settle(projector)
        assert _counted(data) == 30  # fed with its own configuration all the time
    with closing(connect_reader(data / "views.db")) as views:
        assert configuration.load(views)[NAME] == {"factor": 1}


def test_an_old_configuration_outlives_a_restart(data: Path, door: GroupDoor) -> None:
    """It is in the file: a restart before the rebuild has begun goes on with it."""
    for _ in range(2):
        _append(door, 10)
        with closing(_projector(data, MakeTallied(factor=3))) as projector:
            projector.open()
            _settle(projector)
    assert _counted(data) == 30


def test_a_new_version_of_a_group_stops_nobody_else(data: Path, door: GroupDoor) -> None:
    """Its old tables stand where they stood, and answer, until it is rebuilt alone."""
    with closing(_projector(data, MakeTallied(version=2))) as projector:
        projector.open()
        _append(door, 10)
        _settle(projector)
        told = _told(projector)
        assert told.pop(NAME) == ("stopped", "10")
        assert set(told.values()) == {("running", "20")}
        assert _counted(data) == 10
        assert _rebuilt(projector) == [NAME]
        assert set(_told(projector).values()) == {("running", "20")}
        assert _counted(data) == 20


def test_a_new_version_of_the_stage_stops_only_what_it_tells(
    data: Path, door: GroupDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reads pages goes on; what is told by runs stands still until all is rebuilt."""
    monkeypatch.setattr(FactsProjection, "version", FactsProjection.version + 1)
    with closing(_projector(data, MakeTallied())) as projector:
        projector.open()
        _append(door, 10)
        _settle(projector)
        told = _told(projector)
        assert {told.pop(name) for name in ALONE} == {("running", "20")}
        assert set(told.values()) == {("stopped", "10")}
        assert projector.wait(20, sorted(ALONE), timeout_s=0.1) == 20
        assert NAME in _rebuilt(projector)
        assert set(_told(projector).values()) == {("running", "20")}
    assert _counted(data) == 20


def test_a_group_that_is_new_is_filled_alone(tmp_path: Path, door: GroupDoor) -> None:
    """An upgrade that adds one leaves all others as they are."""
    _append(door, 10)
    with closing(Projector(tmp_path, lambda: open_reader(tmp_path), make_folds)) as older:
        older.open()
        _settle(older)
    with closing(_projector(tmp_path, MakeTallied())) as projector:
        projector.open()
        _settle(projector)
        assert NAME not in _told(projector)
        assert _rebuilt(projector) == [NAME]
        assert set(_told(projector).values()) == {("running", "10")}
    assert _counted(tmp_path) == 10


def test_the_stage_takes_along_what_it_tells(data: Path) -> None:
    """Rebuilding `facts` alone would leave tables that do not go by its numbers."""
    with closing(_projector(data, MakeTallied())) as projector:
        projector.open()
        for _ in projector.rebuild(["facts"]):
            pass
        answer = projector.rebuild_status()
        assert answer is not None
        assert {NAME, "facts", "tasks"} <= set(answer["names"])
        for _ in projector.rebuild(["tasks"]):
            pass
        answer = projector.rebuild_status()
        assert answer is not None
        assert answer["names"] == ["tasks"]


def test_files_of_older_releases_are_completed(data: Path, door: GroupDoor) -> None:
    """Letters keep their ids and states; what is new is added before it is needed."""
    with closing(_projector(data, MakeTallied())) as projector:
        connection = projector.live().connection
        for statement in (
            "DROP TABLE spool",
            "DROP TABLE configuration",
            "DROP TABLE dead_letter",
            "CREATE TABLE dead_letter (id INTEGER PRIMARY KEY, projection TEXT NOT NULL,"
            " partition INTEGER NOT NULL, position INTEGER NOT NULL, event_id BLOB NOT NULL,"
            " error TEXT NOT NULL, parked_ns INTEGER NOT NULL, state TEXT NOT NULL,"
            " UNIQUE (projection, partition, position)) STRICT",
            "INSERT INTO dead_letter VALUES (7, 'facts', 0, 3, x'00', 'bad', 1, 'parked')",
        ):
            connection.execute(statement)
    _append(door, 10)
    make = MakeTallied(poison=[4])
    with closing(_projector(data, make)) as projector:
        projector.open()
        _settle(projector)
        connection = projector.live().connection
        found = connection.execute("SELECT id, projection, run_no FROM dead_letter").fetchall()
        assert found == [(7, "facts", 0), (8, NAME, 4)]
        complete(connection)  # once is enough, twice does no harm


def test_the_order_of_values_is_no_difference() -> None:
    """A configuration is the same however it is written down."""
    one, other = {"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}
    assert configuration.digest(one) == configuration.digest(other)
    assert configuration.digest(one) != configuration.digest({"a": 1, "b": [2, 1]})

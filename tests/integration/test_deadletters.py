"""Poison events: parked alone, requeued, discarded, and what a rebuild makes of them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.errors import BadInput
from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.engine.parked import Parked
from projections.engine.parking import RebuildStopped
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.storage import deadletters
from projections.storage.generation import connect_reader
from tests.events import make_batch, make_span
from tests.toyfold import POISON, MakeToys, make_toys, rows


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


def _projector(data: Path, make: MakeToys | None = None) -> Projector:
    projector = Projector(data, lambda: open_reader(data), make or make_toys())
    while projector.step():
        pass
    return projector


def _finish(steps: Iterator[dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: dict[str, Any] = end.value
            return answer


def _append(door: GroupDoor, *span_names: str) -> None:
    door.append(make_batch([make_span(name=name) for name in span_names]))


def _names(data: Path) -> list[object]:
    with closing(connect_reader(data / "views.db")) as views:
        return [row[3] for row in rows(views, "toy_names")]


def test_a_poison_event_is_parked_and_the_rest_goes_on(tmp_path: Path, door: GroupDoor) -> None:
    """Only the projection that stumbles goes without the event; nothing of it stays behind."""
    _append(door, "a", POISON, "b", "named poison", "c")
    with closing(_projector(tmp_path)) as projector:
        assert _names(tmp_path) == ["a", "b", "c"]
        with closing(connect_reader(tmp_path / "views.db")) as views:
            assert rows(views, "toy_counts") == [("default", "span.v1", 5)]
        letters = Parked(projector).listing()
        assert [(one.projection, one.position) for one in letters] == [("names", 2), ("names", 4)]
        assert letters[0].error == "ValueError: this name is poison"
        assert letters[1].error == "KeyError: 'named'"
        letter, event = Parked(projector).show(letters[0].id)
        assert event is not None
        assert event.event_id == letter.event_id
        told = {p["name"]: p["dead_letters"] for p in status(projector)["projections"]}
        assert told == {"counts": 0, "names": 2}


def test_no_fault_no_dead_letter(tmp_path: Path, door: GroupDoor) -> None:
    """Ordinary events leave the table empty."""
    _append(door, *"abcdef")
    with closing(_projector(tmp_path)) as projector:
        assert Parked(projector).listing() == []


def test_requeue_applies_it_once_the_code_is_cured(tmp_path: Path, door: GroupDoor) -> None:
    """It fails again with the old code, and is applied with the new one."""
    _append(door, "a", POISON, "b")
    with closing(_projector(tmp_path)) as projector:
        assert [one.position for one in Parked(projector).requeue()] == [2]
        assert len(Parked(projector).listing()) == 1
    with closing(_projector(tmp_path, make_toys(cured=True))) as projector:
        assert Parked(projector).requeue() == []
        assert Parked(projector).listing() == []
    assert sorted(map(str, _names(tmp_path))) == ["a", "b", POISON]


def test_discard_is_for_good(tmp_path: Path, door: GroupDoor) -> None:
    """A discarded event counts no more, and is not requeued with the others."""
    _append(door, POISON)
    with closing(_projector(tmp_path)) as projector:
        parked = Parked(projector)
        parked.discard([parked.listing()[0].id])
        assert parked.listing()[0].state == "discarded"
        assert parked.requeue() == []
        assert deadletters.counts(projector.live().connection) == {}
        with pytest.raises(BadInput, match="99"):
            parked.discard([99])


def test_a_rebuild_passes_what_is_parked_or_discarded(tmp_path: Path, door: GroupDoor) -> None:
    """Known dead letters stay what they are in the new generation, and their number is told."""
    _append(door, POISON, "a", POISON)
    with closing(_projector(tmp_path)) as projector:
        parked = Parked(projector)
        parked.discard([parked.listing()[1].id])
        for names in (None, ["names"]):
            assert _finish(projector.rebuild(names))["dead_letters"] == 1
            states = [(one.position, one.state) for one in parked.listing()]
            assert states == [(1, "parked"), (3, "discarded")]
        assert projector.rollback()["dead_letters"] == 1


def test_a_rebuild_stops_at_an_unknown_failure(tmp_path: Path, door: GroupDoor) -> None:
    """It says where; readers keep what they had; after a discard it goes on from there."""
    _append(door, "a", "b", POISON, "c")
    with closing(_projector(tmp_path, make_toys(cured=True))) as projector:
        before = _names(tmp_path)
        first = projector.active_generation
    with closing(_projector(tmp_path)) as projector:
        with pytest.raises(RebuildStopped, match="position 3"):
            _finish(projector.rebuild())
        assert projector.active_generation == first
        assert _names(tmp_path) == before
        Parked(projector).discard_event("names", 3)
        _finish(projector.rebuild())
        assert _names(tmp_path) == ["a", "b", "c"]
        with pytest.raises(BadInput):
            Parked(projector).discard_event("nothing", 3)


def test_feeding_pauses_when_too_much_is_poison(tmp_path: Path, door: GroupDoor) -> None:
    """More than 1 % of 10,000 events parked: a broken projection must not park the whole log,
    and the others go on without it."""
    _append(door, *[POISON] * 150, "after")
    with closing(_projector(tmp_path)) as projector:
        assert len(Parked(projector).listing()) == 101
        told = {p["name"]: (p["status"], p["position"]) for p in status(projector)["projections"]}
        assert told == {"counts": ("running", "151"), "names": ("paused", "101")}
        assert not projector.step()
        projector.resume()
        while projector.step():
            pass
        told = {p["name"]: (p["status"], p["position"]) for p in status(projector)["projections"]}
        assert told == {"counts": ("running", "151"), "names": ("running", "151")}
        assert _names(tmp_path) == ["after"]

"""Rebuilding the real projections, all or one: the same tables as feeding them page by page."""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events import names
from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import NAMES, make_folds
from projections.engine.projector import Projector
from projections.storage.generation import connect_reader
from projections.views.traces.fold import positions
from tests.events import BASE_NS, make_batch, make_exception, make_log, make_span, trace_id
from tests.views import tables_of


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def projector(tmp_path: Path, door: GroupDoor) -> Iterator[Projector]:
    """Attempts in any order, in small batches, fed one batch at a time."""
    rng = random.Random(7)
    events: list[Any] = []
    for number in range(240):
        failed = rng.random() < 0.4
        span = make_span(
            task=f"task-{rng.randrange(9)}",
            run=f"run-{rng.randrange(60)}",
            trace_id=trace_id(1 + rng.randrange(50)),
            start_ns=BASE_NS + number * 1_000_000,
            status_code=2 if failed else 1,
            events=[make_exception(message=f"order {number}")] if failed else [],
            attributes={names.TASK_EXECUTOR_ID: f"w{rng.randrange(4)}"},
        )
        events += [span, make_log(trace_id=span.trace_id, span_id=span.span_id)]
    rng.shuffle(events)
    projector = Projector(tmp_path, lambda: open_reader(tmp_path), make_folds)
    for at in range(0, len(events), 15):
        door.append(make_batch(events[at : at + 15], tenant=("default", "other")[at % 2]))
        while projector.step():
            pass
    yield projector
    projector.close()


def _finish(steps: Iterator[dict[str, Any]]) -> None:
    for _ in steps:
        pass


def _objects(path: Path) -> list[tuple[str, str]]:
    with closing(connect_reader(path)) as views:
        return views.execute("SELECT type, name FROM sqlite_master ORDER BY 1, 2").fetchall()


@pytest.mark.parametrize("name", [None, "tasks", "traces"])
def test_the_rebuilt_views_go_on(door: GroupDoor, projector: Projector, name: str | None) -> None:
    """Whatever was rebuilt, the next events reach every projection of the new generation."""
    projector.close()  # the next owner takes the views over, and with them their checkpoints
    _finish(projector.rebuild(None if name is None else [name]))
    through = door.append(make_batch([make_span(task="one more")])).through
    while projector.step():
        pass
    assert {c.position for c in projector.live().checkpoints} == {through}


@pytest.mark.parametrize("name", [None, *sorted(NAMES)])
def test_a_rebuild_gives_the_sametables_of(
    tmp_path: Path, projector: Projector, name: str | None
) -> None:
    """Rows, indexes and SQL views are those of feeding page by page, numbers included."""
    views = tmp_path / "views.db"
    rows, objects = tables_of(views), _objects(views)
    first = projector.active_generation
    _finish(projector.rebuild(None if name is None else [name]))
    assert projector.active_generation != first
    assert tables_of(views) == rows
    assert _objects(views) == objects
    with closing(connect_reader(views)) as connection, closing(open_reader(tmp_path)) as log:
        for number in range(1, 51):
            for tenant in ("default", "other"):
                found = log.fetch(0, positions(connection, tenant, trace_id(number)))
                kept = [e for e in found if e.event.trace_id == trace_id(number)]
                assert all(e.tenant == tenant for e in kept)
    assert projector._rebuild is not None
    assert projector._rebuild.plan.names == (None if name in (None, "facts") else (name,))


def test_a_planted_row_goes_with_its_projection_only(tmp_path: Path, projector: Projector) -> None:
    """A row that no replay can produce is gone after its own projection's rebuild, not before."""
    rows = tables_of(tmp_path / "views.db")
    projector.live().connection.execute("UPDATE task SET attempts = attempts + 1000")
    _finish(projector.rebuild(["runs"]))
    assert tables_of(tmp_path / "views.db")["task"] != rows["task"]
    _finish(projector.rebuild(["tasks"]))
    assert tables_of(tmp_path / "views.db") == rows

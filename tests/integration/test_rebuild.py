"""Rebuilds: beside the live views, switched atomically, resumable, and of the past."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.errors import BadInput, Unavailable, ViewsDamaged
from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.engine.rebuilding import plan, rebuild
from projections.engine.rebuilding.rebuild import Cancelled
from projections.storage.generation import connect_reader
from tests.events import make_batch, make_log, make_span
from tests.toyfold import MakeToys, make_toys, rows


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def projector(tmp_path: Path, door: GroupDoor) -> Iterator[Projector]:
    """A projector that has seen a log of 60 events."""
    for number in range(6):
        spans = [make_span(name=f"step {number}") for _ in range(8)]
        door.append(make_batch([*spans, make_log(), make_log()]))
    projector = _projector(tmp_path)
    _settle(projector)
    yield projector
    projector.close()


def _projector(data: Path, make: MakeToys | None = None, **changes: Any) -> Projector:
    return Projector(data, lambda: open_reader(data), make or make_toys(), **changes)


def _settle(projector: Projector) -> None:
    while projector.step():
        pass


def _finish(steps: Iterator[dict[str, Any]]) -> dict[str, Any]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            answer: dict[str, Any] = end.value
            return answer


def _shown(data: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(connect_reader(data / "views.db")) as views:
        return {table: rows(views, table) for table in ("toy_counts", "toy_names")}


def _plant(projector: Projector, table: str) -> None:
    values = "('ghost', 'span.v1', 9)" if table == "toy_counts" else "(0, 999, 'ghost', 'x')"
    projector.live().connection.execute(f"INSERT INTO {table} VALUES {values}")


def test_a_rebuild_removes_a_planted_row(tmp_path: Path, projector: Projector) -> None:
    """What no replay can produce is gone after a rebuild of everything."""
    before = _shown(tmp_path)
    _plant(projector, "toy_counts")
    _plant(projector, "toy_names")
    answer = _finish(projector.rebuild())
    assert _shown(tmp_path) == before
    assert answer["dead_letters"] == 0
    assert (tmp_path / "views.db").readlink() == Path(f"views-{answer['generation']}.db")


def test_twice_is_once(tmp_path: Path, projector: Projector) -> None:
    """A second rebuild changes nothing."""
    _finish(projector.rebuild())
    once = _shown(tmp_path)
    _finish(projector.rebuild())
    assert _shown(tmp_path) == once


def test_rebuilding_one_leaves_the_other_alone(tmp_path: Path, projector: Projector) -> None:
    """Only the named projection is replayed; a row planted in the other one stays."""
    before = _shown(tmp_path)
    _plant(projector, "toy_counts")
    _plant(projector, "toy_names")
    _finish(projector.rebuild(["counts"]))
    after = _shown(tmp_path)
    assert after["toy_counts"] == before["toy_counts"]
    assert len(after["toy_names"]) == len(before["toy_names"]) + 1


def test_the_new_views_go_on(tmp_path: Path, door: GroupDoor, projector: Projector) -> None:
    """After the switch new events reach the new generation, and the former one too."""
    first = projector.active_generation
    for names in (None, ["names"]):
        _finish(projector.rebuild(names))
        door.append(make_batch([make_span()]))
        _settle(projector)
    assert len(_shown(tmp_path)["toy_names"]) == 50
    with closing(connect_reader(projector.generations.path(first or 0))) as former:
        assert len(rows(former, "toy_names")) == 50


def test_rollback_and_activate(tmp_path: Path, door: GroupDoor, projector: Projector) -> None:
    """The former generation can be switched back to, caught up, and the new one again."""
    first = projector.active_generation
    second = _finish(projector.rebuild())["generation"]
    door.append(make_batch([make_span()]))
    assert projector.rollback()["generation"] == first
    assert len(_shown(tmp_path)["toy_names"]) == 49
    assert projector.rollback()["generation"] == second
    assert projector.activate(first)["generation"] == first
    with pytest.raises(BadInput, match="77"):
        projector.activate(77)


def test_a_former_generation_goes_when_its_time_is_over(
    tmp_path: Path, projector: Projector
) -> None:
    """It is removed after the rollback time, and its number is never given again."""
    projector.close()
    hasty = _projector(tmp_path, rollback_s=0.0)
    hasty.open()
    second = _finish(hasty.rebuild())["generation"]
    hasty._tidied_s = 0.0
    _settle(hasty)
    assert hasty.generations.numbers() == [second]
    assert hasty.generations.reserve() == second + 1
    hasty.close()


def test_readers_never_fail_and_see_whole_views(
    tmp_path: Path, door: GroupDoor, projector: Projector
) -> None:
    """While generations are switched under load, every read sees one complete generation."""
    stop = threading.Event()
    failures: list[BaseException] = []
    reads = [0]

    def read() -> None:
        try:
            while not stop.is_set():
                with closing(connect_reader(tmp_path / "views.db")) as views:
                    views.execute("BEGIN")
                    counted = views.execute("SELECT sum(events) FROM toy_counts").fetchone()[0]
                    position = views.execute("SELECT min(position) FROM checkpoint").fetchone()[0]
                    assert counted == position
                    reads[0] += 1
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(8):
        door.append(make_batch([make_span(), make_log()]))
        _finish(projector.rebuild(["counts"] if number % 2 else None))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert reads[0] > 0


def test_cancel_and_resume(
    tmp_path: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancelled rebuild changes nothing, and goes on from its last committed page."""
    monkeypatch.setattr(rebuild, "PAGE_EVENTS", 10)
    before = _shown(tmp_path)
    first = projector.active_generation
    for names in (None, ["names"]):
        _cancel_after(projector, names, monkeypatch)
        assert projector.active_generation == first
        left = plan.load(tmp_path)
        assert left is not None
        assert left.state == "cancelled"
        answer = _finish(projector.rebuild(names))
        assert projector._rebuild is not None
        assert projector._rebuild.progress._began_at >= 20
        assert answer["generation"] == left.number
        assert _shown(tmp_path) == before
        first = projector.active_generation


def _cancel_after(
    projector: Projector, names: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancel when the second page is committed."""
    with monkeypatch.context() as patch:
        apply = rebuild.View.apply

        def counted(self: Any, page: Any, parking: Any) -> None:
            apply(self, page, parking)
            if page.through >= 20 and projector._rebuild is not None:
                projector._rebuild.cancelled.set()

        patch.setattr(rebuild.View, "apply", counted)
        with pytest.raises(Cancelled):
            _finish(projector.rebuild(names))


def test_another_rebuild_forgets_a_cancelled_one(
    tmp_path: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking for something else starts over, and nothing of the cancelled one stays behind."""
    monkeypatch.setattr(rebuild, "PAGE_EVENTS", 10)
    _cancel_after(projector, None, monkeypatch)
    _finish(projector.rebuild(["names"]))
    assert not list(tmp_path.glob("views-*.part*"))
    assert plan.load(tmp_path) is None


def test_one_rebuild_at_a_time(projector: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is refused while one runs; `cancel` without one says so."""
    go_on = threading.Event()
    build = rebuild.Rebuild.build

    def held(self: Any) -> Any:
        go_on.wait(10)
        return build(self)

    monkeypatch.setattr(rebuild.Rebuild, "build", held)
    steps = projector.rebuild()
    with pytest.raises(Unavailable, match="runs already"):
        projector.rebuild(["names"])
    assert status(projector)["rebuild"]["running"]
    go_on.set()
    _finish(steps)
    with pytest.raises(Unavailable):
        projector.cancel()


def test_as_of_equals_a_fold_of_the_prefix(tmp_path: Path, projector: Projector) -> None:
    """A view of the past holds what the views held then, wherever the position falls."""
    live = _shown(tmp_path)
    for position in (0, 1, 10, 33, 60):
        name = f"at-{position}"
        _finish(projector.rebuild(as_of=position, view=name))
        with closing(connect_reader(projector.generations.past(name))) as past:
            wanted = [row for row in live["toy_names"] if row[1] <= position]  # type: ignore[operator]
            assert rows(past, "toy_names") == wanted
            assert past.execute("SELECT coalesce(sum(events), 0) FROM toy_counts").fetchone() == (
                position,
            )
    assert _shown(tmp_path) == live
    assert status(projector)["views"] == sorted(f"at-{p}" for p in (0, 1, 10, 33, 60))
    projector.remove_past("at-33")
    assert not projector.generations.past("at-33").exists()


def test_the_past_has_bounds(projector: Projector) -> None:
    """Positions beyond the head, bad names and names in use are refused."""
    _finish(projector.rebuild(as_of=5, view="five"))
    for as_of, view in ((61, "later"), (5, "../escape"), (5, "five"), (5, None)):
        with pytest.raises(BadInput):
            projector.rebuild(as_of=as_of, view=view)


def test_a_new_version_rebuilds_itself(
    tmp_path: Path, door: GroupDoor, projector: Projector
) -> None:
    """A release with another version rebuilds that projection in the background and switches."""
    _plant(projector, "toy_counts")
    _plant(projector, "toy_names")
    first = projector.active_generation
    projector.close()
    newer = _projector(tmp_path, make_toys(versions=(1, 2)))
    stop = threading.Event()
    loop = threading.Thread(target=newer.run, args=(stop,))
    loop.start()
    try:
        through = door.append(make_batch([make_span()])).through
        newer.wait(through, ["counts", "names"], timeout_s=20)
        assert newer.active_generation != first
        assert len(_shown(tmp_path)["toy_names"]) == 49
        assert ("ghost", "span.v1", 9) in _shown(tmp_path)["toy_counts"]
        assert {p["name"]: p["version"] for p in status(newer)["projections"]} == {
            "counts": 1,
            "names": 2,
        }
    finally:
        stop.set()
        loop.join()


_CHILD = """
import sys, threading
from pathlib import Path
from events.log.reader import open_reader
from projections.engine.rebuilding import rebuild
from projections.engine.projector import Projector
from tests.toyfold import make_toys
rebuild.PAGE_EVENTS = 10
data = Path(sys.argv[1])
projector = Projector(data, lambda: open_reader(data), make_toys())
projector.open()
while projector.step(): pass
names = None if sys.argv[2] == "all" else ["counts"]
for _ in projector.rebuild(names): pass
projector.close()
"""


@pytest.mark.parametrize("names", ["all", "counts"])
@pytest.mark.parametrize(
    "point", ["view.before_checkpoint", "view.before_commit", "activate.middle"]
)
def test_a_kill_at_a_named_point_harms_nothing(
    tmp_path: Path, door: GroupDoor, point: str, names: str
) -> None:
    """Killed while folding, rebuilding or activating: afterwards the views equal a clean fold."""
    for _ in range(3):
        door.append(make_batch([make_span(), make_log()]))
    command = [sys.executable, "-c", _CHILD, str(tmp_path), names]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"SPANLEDGER_CRASH_AT": point, "PYTHONPATH": root}
    killed = subprocess.run(command, env=environment, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    projector = _projector(tmp_path)
    stop = threading.Event()
    loop = threading.Thread(target=projector.run, args=(stop,))
    loop.start()
    try:
        through = door.append(make_batch([make_span()])).through
        projector.wait(through, timeout_s=20)
    finally:
        stop.set()
        loop.join()
    shown = _shown(tmp_path)
    assert shown["toy_counts"] == [("default", "log.v1", 3), ("default", "span.v1", 4)]
    assert len(shown["toy_names"]) == 4


def test_a_rebuild_killed_half_way_starts_over(
    tmp_path: Path, projector: Projector, door: GroupDoor
) -> None:
    """Its file is not trusted: the next start removes it and does the work again."""
    before = _shown(tmp_path)
    number = projector.generations.reserve()
    plan.store(tmp_path, plan.Plan(number))
    (tmp_path / f"views-{number}.part").write_bytes(b"half a page")
    projector.close()
    projector = _projector(tmp_path)
    stop = threading.Event()
    loop = threading.Thread(target=projector.run, args=(stop,))
    loop.start()
    while plan.load(tmp_path) is not None:
        time.sleep(0.01)
    stop.set()
    loop.join()
    assert projector.generations.active() == number + 1
    assert _shown(tmp_path) == before
    assert not list(tmp_path.glob("*.part"))


def test_a_rebuild_stopped_with_the_process_goes_on_by_itself(
    tmp_path: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the projector leaves a whole file, and the next one goes on from there."""
    monkeypatch.setattr(rebuild, "PAGE_EVENTS", 10)
    apply = rebuild.View.apply
    half_way = threading.Event()

    def slowly(self: Any, page: Any, parking: Any) -> None:
        apply(self, page, parking)
        if page.through == 20:
            half_way.set()
            time.sleep(0.2)

    with monkeypatch.context() as patch:
        patch.setattr(rebuild.View, "apply", slowly)
        projector.rebuild()
        half_way.wait(10)
        projector.close()
    left = plan.load(tmp_path)
    assert left is not None
    assert left.state == "stopped"
    projector = _projector(tmp_path)
    stop = threading.Event()
    loop = threading.Thread(target=projector.run, args=(stop,))
    loop.start()
    while plan.load(tmp_path) is not None:
        time.sleep(0.01)
    stop.set()
    loop.join()
    assert projector.generations.active() == left.number


def test_damaged_views_are_made_anew(tmp_path: Path, projector: Projector) -> None:
    """Views that SQLite cannot read are reported, and a rebuild of everything replaces them."""
    before = _shown(tmp_path)
    projector.close()
    file = projector.generations.path(1)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    file.write_bytes(b"not a database" * 1000)
    projector = _projector(tmp_path)
    with pytest.raises(ViewsDamaged, match="rebuild --all"):
        projector.open()
    _finish(projector.rebuild())
    assert _shown(tmp_path) == before
    _settle(projector)
    projector.close()

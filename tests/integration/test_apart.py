"""A group may run in a process and a file of its own: nothing is lost, and it lags alone."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.errors import Unavailable
from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import NAMES, make_folds
from projections.engine import spool
from projections.engine.apart.feeder import ApartFeeder
from projections.engine.parked import Parked
from projections.engine.progress import status
from projections.engine.projector import Projector
from projections.engine.versions import MakeFolds
from projections.queries import Queries
from projections.storage import apart, generation
from service.control.projector import Operations
from tests.events import BASE_NS, make_batch, make_span
from tests.toygroup import NAME, MakeTallied
from tests.views import tables_of

OURS = {"dead_letter", "spool", "configuration", "generation", "checkpoint", "projection_state"}
GROUPS = sorted(NAMES - {"facts"})

Tables = dict[str, list[str]]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    door = GroupDoor(tmp_path)
    yield door
    door.close()


class Pair:
    """A projector and the processes of groups apart, in this process."""

    def __init__(self, data: Path, *names: str, make: MakeFolds = make_folds) -> None:
        self.data = data
        self.projector = Projector(data, lambda: open_reader(data), make, apart=names)
        self.apart = [ApartFeeder(data, name, lambda: open_reader(data), make) for name in names]

    def settle(self) -> None:
        """Feed until nothing is left to do."""
        self.projector.open()
        self.projector.opened()
        moved = True
        while moved:
            if (self.projector.rebuild_status() or {}).get("running"):
                list(self.projector.follow())
            moved = self.projector.step()
            for feeder in self.apart:
                moved |= feeder.step()

    def close(self) -> None:
        for feeder in self.apart:
            feeder.close()
        self.projector.close()


def _attempts(door: GroupDoor, *runs: int) -> None:
    door.append(
        make_batch(
            [
                make_span(
                    task=f"task-{run % 5}", run=f"run-{run}", attempt=count,
                    start_ns=BASE_NS + run * 10**6, status_code=2 if count == 1 else 0,
                )
                for run in runs for count in (1, 2)
            ]
        )
    )  # fmt: skip


def _whole(data: Path) -> Tables:
    """All tables of projections, wherever they are."""
    views = (data / "views.db").resolve()
    found = tables_of(views)
    for path in apart.files(views).values():
        found |= {k: v for k, v in tables_of(path).items() if k not in OURS}
    return {name: rows for name, rows in found.items() if name not in OURS}


def _clean(data: Path, folder: Path, make: MakeFolds = make_folds) -> Tables:
    """What one process makes of the same log."""
    with closing(Projector(folder, lambda: open_reader(data), make)) as alone:
        folder.mkdir()
        while alone.step():
            pass
    return _whole(folder)


@pytest.mark.parametrize("name", GROUPS)
def test_any_group_may_run_apart(tmp_path: Path, door: GroupDoor, name: str) -> None:
    """Every group, told by changes or reading pages, has the rows apart that it has together."""
    pair = Pair(tmp_path, name)
    with closing(pair):
        for start in range(0, 60, 20):
            _attempts(door, *range(start, start + 25))
            pair.settle()
        assert list(apart.files((tmp_path / "views.db").resolve())) == [name]
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean")


def test_a_group_changes_its_place(tmp_path: Path, door: GroupDoor) -> None:
    """Set apart, and together again, it goes on where it stood, also when it was behind."""
    for round_, names in enumerate([(), ("task_metrics", "traces"), ("tasks",), ()]):
        with closing(Pair(tmp_path, *names)) as pair:
            pair.settle()
            _attempts(door, *range(round_ * 10, round_ * 10 + 15))
            while pair.projector.step():
                pass  # and who is apart is left behind
        assert set(apart.files((tmp_path / "views.db").resolve())) == set(names)
    with closing(Pair(tmp_path)) as pair:
        pair.settle()
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean")
        assert not pair.projector.live().behind()


def test_answers_are_the_same(tmp_path: Path, door: GroupDoor) -> None:
    """Whoever asks finds in one answer what several files hold, SQL views included."""
    _attempts(door, *range(40))
    asked = ("tasks", "runs", "attempts", "errors", "history", "metrics/tasks", "tasks/task-1")
    answers: list[list[Any]] = []
    for names in ((), GROUPS):
        with closing(Pair(tmp_path, *names)) as pair, closing(Queries(tmp_path)) as queries:
            pair.settle()
            answers.append([queries.answer(path, {}) for path in asked])
            with queries.views.read() as connection:
                for view in ("task_executions", "performance_metrics", "execution_history"):
                    rows = connection.execute(f"SELECT * FROM {view}").fetchall()
                    assert rows
                    answers[-1].append(rows)
    assert answers[0] == answers[1]


def test_a_slow_group_apart_lags_alone(tmp_path: Path, door: GroupDoor) -> None:
    """Nobody waits for it; answers that read it say the least position, and it catches up."""
    with closing(Pair(tmp_path, "error_patterns")) as pair, closing(Queries(tmp_path)) as queries:
        pair.settle()
        for start in range(0, 60, 10):
            _attempts(door, *range(start, start + 10))
            while pair.projector.step():
                pass
        head = pair.projector.reader().head().position
        assert queries.answer("attempts", {}).position == str(head)  # type: ignore[attr-defined]
        assert queries.answer("errors", {}).position == "0"  # type: ignore[attr-defined]
        places = {p["name"]: p["lag_events"] for p in status(pair.projector)["projections"]}
        assert places["error_patterns"] == head
        assert set(places.values()) == {0, head}
        with pytest.raises(Unavailable):
            pair.projector.wait(head, ["error_patterns"], timeout_s=0.01)
        pair.settle()
        assert queries.answer("errors", {}).position == str(head)  # type: ignore[attr-defined]
        assert pair.projector.wait(head, ["error_patterns"], timeout_s=0.01) == head
        _attempts(door, 1)
        pair.settle()
        live = pair.projector.live().connection
        kept = live.execute("SELECT count(*) FROM spool").fetchone()[0]
        assert kept <= 2, "what its file has is forgotten"


def test_what_fails_apart_is_parked_there(tmp_path: Path, door: GroupDoor) -> None:
    """Its dead letters lie in its own file, are listed with all others, and settled there."""
    make = MakeTallied(poison=[3])
    with closing(Pair(tmp_path, NAME, make=make)) as pair:
        _attempts(door, *range(1, 9))
        pair.settle()
        (letter,) = Parked(pair.apart[0]).listing()
        assert (letter.projection, letter.run_no) == (NAME, 3)
        assert Parked(pair.projector).listing() == []
        views = (tmp_path / "views.db").resolve()
        with closing(generation.connect_reader(views)) as connection:
            (shown,) = connection.execute("SELECT id FROM dead_letter").fetchone()
        assert apart.holder_of(views, shown) == (NAME, letter.id)
        assert apart.holder_of(views, 5) == (None, 5)
        states = {p["name"]: p for p in status(pair.projector)["projections"]}
        assert {n for n, p in states.items() if p["dead_letters"]} == {NAME}
        make.poison.clear()
        assert Parked(pair.apart[0]).requeue() == []
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean", make)


@pytest.mark.parametrize("names", [["task_metrics"], ["attempts"], None])
def test_rebuild_and_rollback(tmp_path: Path, door: GroupDoor, names: list[str] | None) -> None:
    """A rebuild of it, of others or of all makes a file beside the new generation, and the former
    one is kept fed with its own; a rollback shows that again."""
    with closing(Pair(tmp_path, "task_metrics", "traces")) as pair:
        _attempts(door, *range(30))
        pair.settle()
        former = (tmp_path / "views.db").resolve()
        for _ in pair.projector.rebuild(names):
            pass
        _attempts(door, *range(20, 50))
        pair.settle()
        views = (tmp_path / "views.db").resolve()
        assert views != former
        assert set(apart.files(views)) == set(apart.files(former)) == {"task_metrics", "traces"}
        rebuilt = _whole(tmp_path)
        assert rebuilt == _clean(tmp_path, tmp_path / "clean")
        pair.projector.rollback()
        pair.settle()
        assert (tmp_path / "views.db").resolve() == former
        assert _whole(tmp_path) == rebuilt
        pair.projector.generations.remove(int(views.stem.removeprefix("views-")))
        assert not list(tmp_path.glob(f"{views.stem}*.db"))


def test_beyond_the_bound_it_is_rebuilt(
    tmp_path: Path, door: GroupDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group whose process is away too long is made anew from the log, by itself."""
    with closing(Pair(tmp_path, "task_metrics")) as pair:
        pair.settle()
        monkeypatch.setattr(spool, "LIMIT_BYTES", 1)
        _attempts(door, *range(10))
        while pair.projector.step():
            pass
        assert pair.projector.live().lost() == ["task_metrics"]
        monkeypatch.undo()
        pair.settle()
        pair.projector.opened()  # as its housekeeping would find
        pair.settle()
        assert pair.projector.live().lost() == []
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean")


def test_a_power_cut_takes_pages_of_one_file(tmp_path: Path, door: GroupDoor) -> None:
    """A group whose file is ahead of the stage, which lost its last pages, applies none twice."""
    with closing(Pair(tmp_path, "task_metrics")) as pair:
        _attempts(door, *range(10))
        pair.settle()
    views = (tmp_path / "views.db").resolve()
    before = views.read_bytes()
    _attempts(door, *range(5, 15))
    with closing(Pair(tmp_path, "task_metrics")) as pair:
        pair.settle()
    views.write_bytes(before)
    _attempts(door, *range(10, 20))
    with closing(Pair(tmp_path, "task_metrics")) as pair:
        pair.settle()
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean")


def test_an_older_version_answers_until_it_is_rebuilt(tmp_path: Path, door: GroupDoor) -> None:
    """Tables that this release's code cannot feed stand still apart too, and are made anew."""
    with closing(Pair(tmp_path, NAME, make=MakeTallied())) as pair:
        _attempts(door, *range(10))
        pair.settle()
    make = MakeTallied(version=2, factor=3)
    with closing(Pair(tmp_path, NAME, make=make)) as pair:
        pair.apart[0].open()
        assert pair.apart[0].live().names == []
        pair.settle()
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean", make)


def test_nobody_misses_a_requeued_event(tmp_path: Path, door: GroupDoor) -> None:
    """An event parked by the stage is not applied behind the back of a group apart."""
    with closing(Pair(tmp_path, "runs")) as pair:
        _attempts(door, 1)
        pair.settle()
        parked = Parked(pair.projector)
        parked.discard_event("facts", 1)
        with pytest.raises(Unavailable, match="runs would miss it"):
            parked.requeue([letter.id for letter in parked.listing()])


def test_all_may_be_paused_by_name(tmp_path: Path, door: GroupDoor) -> None:
    """A projector whose every projection is paused by its name has nothing to do."""
    with closing(Pair(tmp_path)) as pair:
        pair.settle()
        pair.projector.pause(sorted(NAMES))
        _attempts(door, 1)
        assert not pair.projector.step()
        pair.projector.resume()
        pair.settle()
        assert _whole(tmp_path) == _clean(tmp_path, tmp_path / "clean")


def test_whoever_asks_need_not_know_who_feeds(tmp_path: Path, door: GroupDoor) -> None:
    """The projector passes on what concerns a group apart; ids are those that readers see."""
    make = MakeTallied(poison=[3])
    with closing(Pair(tmp_path, NAME, "traces", make=make)) as pair:
        _attempts(door, *range(1, 9))
        pair.settle()
        pair.apart[0].close()  # its process is away
        ask = Operations(pair.projector, make).handlers()
        (letter,) = ask["deadletters"]()
        assert letter["id"] > apart.LETTERS
        assert [one["id"] for one in ask["requeue"](letter["id"])["failed"]] == [letter["id"]]
        assert [one["id"] for one in ask["requeue"]()["failed"]] == [letter["id"]]
        assert ask["pause"]([NAME, "traces", "runs"]) == {"paused": True}
        assert pair.projector.live().paused.keys() == {"runs"}
        assert ask["resume"]() == {"paused": False}
        assert ask["discard"](letter["id"]) == {"discarded": letter["id"]}
        assert [one["state"] for one in ask["deadletters"](NAME)] == ["discarded"]
        assert ask["discard_run"](NAME, 7) == {"discarded": 7}
        assert ask["discard_event"]("traces", 2) == {"discarded": "2"}
        assert {one["projection"] for one in ask["deadletters"]()} == {NAME, "traces"}
        make.poison.clear()
        assert ask["requeue"]()["applied"]

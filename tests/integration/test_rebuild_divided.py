"""A rebuild with a second process: the same tables, whatever becomes of either of the two."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from events.log.door import GroupDoor
from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.parked import Parked
from projections.engine.parking import RebuildStopped
from projections.engine.projector import Projector
from projections.engine.rebuilding import rebuild
from projections.engine.rebuilding.rebuild import Cancelled
from projections.engine.side import process
from projections.engine.side.process import Side, SideFailed, reached
from projections.runs.changes import Changes
from projections.runs.extracted import Extracted
from projections.runs.registry.runs import RunStage
from projections.storage.generation import connect_building, connect_reader
from tests.events import BASE_NS, make_batch, make_exception, make_log, make_span

PAGE = 60


@pytest.fixture(autouse=True)
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small logs are divided too, and have several pages."""
    monkeypatch.setattr(rebuild, "DIVIDED_EVENTS", 1)
    monkeypatch.setattr(rebuild, "PAGE_EVENTS", PAGE)
    monkeypatch.setattr(rebuild, "has_two_cores", lambda: True)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A log of runs that go on from page to page, fail, recover, and end before they started."""
    with closing(GroupDoor(tmp_path)) as door:
        for number in range(30):
            spans = [
                make_span(
                    task=f"task-{n % 5}",
                    run=f"run-{n % 17}",
                    start_ns=BASE_NS + number * 10**9 + n,
                    end_ns=BASE_NS + number * 10**9 + (n - 1 if n == 7 else 10**6 * n + n),
                    status_code=2 if n % 3 == 0 else 1,
                    events=[make_exception(message=f"order {n}")] if n % 3 == 0 else [],
                    attributes={"task.executor.id": f"w{(n + number) % 4}"},
                )
                for n in range(9)
            ]
            loose = make_log(trace_id=spans[0].trace_id, span_id=spans[0].span_id)
            door.append(make_batch([*spans, loose], tenant=("default", "other")[number % 2]))
    return tmp_path


@pytest.fixture
def projector(data: Path) -> Iterator[Projector]:
    projector = Projector(data, lambda: open_reader(data), make_folds)
    while projector.step():
        pass
    yield projector
    projector.close()


def _tables(data: Path) -> dict[str, list[str]]:
    """All rows of the active views, but for what depends on how the log was cut into pages."""
    cut = ("trace_", "span_", "generation", "checkpoint")
    with closing(connect_reader(data / "views.db")) as views:
        listed = views.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            table: sorted(repr(row) for row in views.execute(f'SELECT * FROM "{table}"'))
            for (table,) in listed
            if not table.startswith(cut)
        }


def _objects(data: Path) -> list[tuple[str, str, str]]:
    with closing(connect_reader(data / "views.db")) as views:
        return views.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()


def _finish(steps: Iterator[dict[str, Any]]) -> None:
    for _ in steps:
        pass


def _files(data: Path) -> list[str]:
    return sorted(path.name for path in data.glob("views-*.[ps]*"))


def test_it_gives_the_same_tables(data: Path, projector: Projector) -> None:
    """Every row is that of feeding page by page; the indexes hold; nothing is left behind."""
    fed, objects = _tables(data), _objects(data)
    _finish(projector.rebuild())
    assert _tables(data) == fed
    assert _objects(data) == objects
    assert _files(data) == []
    with closing(connect_reader(data / "views.db")) as views:
        assert views.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_past_can_be_divided_too(data: Path, projector: Projector) -> None:
    """A view of the past has the attempts of its prefix."""
    _finish(projector.rebuild(as_of=150, view="then"))
    with closing(connect_reader(projector.generations.past("then"))) as past:
        assert past.execute("SELECT count(*) FROM attempt").fetchone() == (135,)


def test_cancelled_it_goes_on_in_both_files(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both have committed is not replayed again."""
    fed = _tables(data)
    _cancel_after(projector, 2 * PAGE, monkeypatch)
    (side,) = data.glob("views-*.side")
    committed = reached(side)[0]
    assert committed >= 2 * PAGE
    _finish(projector.rebuild())
    assert projector._rebuild is not None
    assert projector._rebuild.progress._began_at == committed
    assert _tables(data) == fed


def test_files_that_do_not_belong_together_are_made_anew(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If one of the two lost its last page, both start over."""
    fed = _tables(data)
    _cancel_after(projector, 2 * PAGE, monkeypatch)
    (side,) = data.glob("views-*.side")
    with closing(connect_building(side)) as connection:
        connection.execute("UPDATE reached SET position = position - 1")
    _finish(projector.rebuild())
    assert projector._rebuild is not None
    assert projector._rebuild.progress._began_at == 0
    assert _tables(data) == fed


def test_a_second_process_that_committed_nothing_is_as_none(tmp_path: Path) -> None:
    """Its file begins anew; and only one that was told the end says that it wrote everything."""
    path = tmp_path / "views-1.side"
    early = Side(path, [])
    early.close()
    with pytest.raises(SideFailed):
        early.join()
    assert reached(path) == {}
    whole = Side(path, [])
    whole.commit(0, 7)
    whole.finish()
    whole.join()
    assert reached(path) == {0: 7}
    with closing(connect_reader(path)) as views:
        assert views.execute("SELECT count(*) FROM attempt").fetchone() == (0,)
    whole.close()


def _cancel_after(projector: Projector, position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Side.commit

    def cancelling(self: Side, partition: int, at: int) -> None:
        commit(self, partition, at)
        if at >= position and projector._rebuild is not None:
            projector._rebuild.cancelled.set()

    with monkeypatch.context() as patch:
        patch.setattr(Side, "commit", cancelling)
        with pytest.raises(Cancelled):
            _finish(projector.rebuild())


@pytest.mark.parametrize("position", [PAGE, 5 * PAGE])
def test_without_the_second_process_it_starts_over_alone(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    """Killed in the middle or when all is sent, the tables are the same, and nothing is left."""
    fed = _tables(data)
    commit = Side.commit
    killed: list[int] = []

    def killing(self: Side, partition: int, at: int) -> None:
        commit(self, partition, at)
        if at >= position and not killed:
            killed.append(self._process.pid)
            os.kill(self._process.pid, signal.SIGKILL)

    monkeypatch.setattr(Side, "commit", killing)
    _finish(projector.rebuild())
    assert killed
    assert _tables(data) == fed
    assert _files(data) == []


def test_cancelled_after_the_second_process_died_it_starts_over(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process left may be torn or missing: going on from it would lose rows."""
    fed = _tables(data)
    commit = Side.commit

    def killing(self: Side, partition: int, at: int) -> None:
        commit(self, partition, at)
        self._process.kill()
        self._path.unlink(missing_ok=True)
        assert projector._rebuild is not None
        projector._rebuild.cancelled.set()

    with monkeypatch.context() as patch:
        patch.setattr(Side, "commit", killing)
        with pytest.raises(Cancelled):
            _finish(projector.rebuild())
    assert _files(data) == []
    _finish(projector.rebuild())
    assert _tables(data) == fed


def test_a_second_process_that_stands_still_is_killed(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancel does not wait for one that somebody stopped."""
    fed = _tables(data)
    monkeypatch.setattr(process, "_CLOSE_S", 0.2)
    commit = Side.commit

    def stopping(self: Side, partition: int, at: int) -> None:
        commit(self, partition, at)
        os.kill(self._process.pid, signal.SIGSTOP)
        assert projector._rebuild is not None
        projector._rebuild.cancelled.set()

    with monkeypatch.context() as patch:
        patch.setattr(Side, "commit", stopping)
        with pytest.raises(Cancelled):
            _finish(projector.rebuild())
    assert _files(data) == []
    _finish(projector.rebuild())
    assert _tables(data) == fed


def test_where_no_process_can_be_started_it_does_without(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a limit of processes."""
    fed = _tables(data)
    monkeypatch.setattr(sys, "executable", str(data / "missing"))
    _finish(projector.rebuild())
    assert _tables(data) == fed
    assert _files(data) == []


def test_few_events_or_one_core_are_not_divided(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are some projections alone."""

    def refusing(path: Path, folds: object) -> Side:
        raise AssertionError("a second process was started")

    monkeypatch.setattr(Side, "of", refusing)
    _finish(projector.rebuild(["runs"]))
    with monkeypatch.context() as patch:
        patch.setattr(rebuild, "has_two_cores", lambda: False)
        _finish(projector.rebuild())
    monkeypatch.setattr(rebuild, "DIVIDED_EVENTS", 301)
    _finish(projector.rebuild())
    monkeypatch.setattr(rebuild, "DIVIDED_EVENTS", 300)
    with pytest.raises(AssertionError, match="second process"):
        _finish(projector.rebuild())


def test_what_cannot_be_applied_stops_it_or_is_left_out(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page with a dead letter is taken back and told again in parts, to both processes."""
    apply = RunStage.apply

    def failing(self: RunStage, connection: sqlite3.Connection, found: Extracted) -> Changes:
        if any(span.position == 151 for facts in found.runs.values() for span in facts.spans):
            raise ValueError("this event is poison")
        return apply(self, connection, found)

    monkeypatch.setattr(RunStage, "apply", failing)
    with pytest.raises(RebuildStopped, match="position 151"):
        _finish(projector.rebuild())
    Parked(projector).discard_event("facts", 151)
    _finish(projector.rebuild())
    divided = _tables(data)
    monkeypatch.setattr(rebuild, "has_two_cores", lambda: False)
    _finish(projector.rebuild())
    alone = _tables(data)
    assert len(divided.pop("dead_letter")) == len(alone.pop("dead_letter")) == 1
    assert alone == divided


def test_files_that_cannot_be_made_one_are_made_anew(
    data: Path, projector: Projector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk too full for both halves at once may have room for one process's file."""
    fed = _tables(data)
    finish = Side.finish

    def spoiling(self: Side) -> None:
        finish(self)
        self.join()
        with closing(connect_building(self._path)) as connection:
            connection.execute("DROP TABLE reached")

    monkeypatch.setattr(Side, "finish", spoiling)
    _finish(projector.rebuild())
    assert _tables(data) == fed
    assert _files(data) == []


_REBUILDING = """
import os, sys
from pathlib import Path
from events.log.reader import open_reader
from projections.engine.rebuilding import rebuild
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.engine.side.process import Side
rebuild.DIVIDED_EVENTS, rebuild.PAGE_EVENTS = 1, 60
rebuild.has_two_cores = lambda: True
commit = Side.commit
def halting(self, partition, position):
    commit(self, partition, position)
    print(self._process.pid, flush=True)
    sys.stdin.read()
Side.commit = halting
data = Path(sys.argv[1])
projector = Projector(data, lambda: open_reader(data), make_folds)
for _ in projector.rebuild(): pass
"""


def test_killed_it_takes_the_second_process_along(data: Path) -> None:
    """The second process ends by itself; the next rebuild starts over and gives the same tables."""
    command = [sys.executable, "-c", _REBUILDING, str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        second = psutil.Process(int(process.stdout.readline()))
        process.kill()
    gone_s = time.monotonic() + 5
    while second.is_running() and second.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < gone_s, "it did not end"
        time.sleep(0.02)
    projector = Projector(data, lambda: open_reader(data), make_folds)
    while projector.step():
        pass
    fed = _tables(data)
    projector.close()
    _finish(projector.rebuild())
    assert _tables(data) == fed
    assert _files(data) == []
    projector.close()

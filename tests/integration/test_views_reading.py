"""Reading views while generations come and go."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from events.log.door import GroupDoor
from events.schema import Span
from projections.queries import Queries
from projections.query.refusals import OfAnotherRelease
from service.control.projector import build_projector
from tests.events import make_batch, make_span
from tests.views import make_folder


def tasks_of(queries: Queries) -> list[str]:
    """The ids of all tasks."""
    page: Any = queries.answer("tasks", {})
    return [task.task_id for task in page.items]


def test_an_activation_is_seen_by_the_next_question(tmp_path: Path) -> None:
    """The new generation answers, and no connection holds the file of the old one."""
    queries = Queries(make_folder(tmp_path, [make_batch([make_span(task="one")])]))
    assert tasks_of(queries) == ["one"]
    old = (tmp_path / "views.db").resolve()
    rebuild(tmp_path, make_span(task="two"))
    assert sorted(tasks_of(queries)) == ["one", "two"]
    held = {os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if is_open(fd)}
    assert (tmp_path / "views.db").resolve() != old
    assert not [path for path in held if path.startswith(str(old))]
    queries.close()


def rebuild(data: Path, span: Span) -> None:
    """Append a span, and replay the whole log into a new generation."""
    door = GroupDoor(data)
    door.append(make_batch([span]))
    door.close()
    projector = build_projector(data, rollback_s=0.0)
    projector.open()
    for _ in projector.rebuild():
        pass
    projector.close()


def is_open(descriptor: str) -> bool:
    """Whether a descriptor is still there; the listing itself used one."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def test_activations_under_readers_never_show_half_a_view(tmp_path: Path) -> None:
    """Each answer is of one whole generation, while several are activated in a row."""
    queries = Queries(make_folder(tmp_path, [make_batch([make_span(task="t0")])]))
    done = threading.Event()
    failures: list[BaseException] = []
    counts: list[int] = []

    def read() -> None:
        try:
            while not done.is_set():
                page: Any = queries.answer("tasks", {})
                assert len(page.items) == int(page.position)
                counts.append(len(page.items))
        except BaseException as exc:
            failures.append(exc)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1, 6):
        rebuild(tmp_path, make_span(task=f"t{number}"))
    done.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert counts
    assert len(tasks_of(queries)) == 6
    queries.close()


@pytest.mark.parametrize("path", ["tasks", "tasks/task-1"])
def test_views_of_another_release_say_so(tmp_path: Path, path: str) -> None:
    """Where they have not what this release asks for: no word of slowness, and what to do."""
    data = make_folder(tmp_path, [make_batch([make_span()])])
    with closing(Queries(data)) as queries:
        with closing(sqlite3.connect(queries.views.path())) as views:
            views.execute("DROP TABLE task")
        with pytest.raises(
            OfAnotherRelease, match=r"^the views were made by another release; they"
        ):
            queries.answer(path, {})
        shutil.copy(queries.views.path(), data / "views-asof-june.db")
        with pytest.raises(OfAnotherRelease, match="remove june"):
            queries.answer(path, {"view": "june"})
        assert queries.answer("errors", {}).items == []  # type: ignore[attr-defined]

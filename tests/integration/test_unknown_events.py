"""Events that a consumer does not know pass it by: none fails, none is parked, none is lost."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from typer.testing import CliRunner

from events import names
from events.abandonment import Abandonment, fact_of
from events.log.door import GroupDoor
from events.log.port import Head
from events.log.reader import open_reader
from events.schema import Event
from projections.assembly import make_folds
from projections.engine.projector import Projector
from projections.storage.generation import connect_reader
from service.cli.commands.log import app
from service.forward.cursor import Place
from service.forward.window import WindowReader
from tests.events import make_batch, make_fact, make_log, make_span, make_unknown

_LOST: Final = Abandonment("a1", "task-1", "r1", 3, b"", b"", 10, 9, b"", 5)
STRANGE: Final[list[Event]] = [
    make_unknown("span.v9"),
    make_unknown("span.v10"),
    make_unknown("attempt_abandoned.v9"),
    make_unknown("acme.v1", msgspec.msgpack.Ext(5, b"x")),
    make_fact(),
    make_fact(subject={"type": "trace", "trace_id": "07" * 16}, payload={"task.id": "task-1"}),
    msgspec.structs.replace(fact_of(_LOST, "watcher"), version=2),
]
HEAD: Final = len(STRANGE) + 3


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A log in which two attempts and a log record stand among events that nobody knows."""
    door = GroupDoor(tmp_path)
    spans = [make_span(task="task-1", run="r1"), make_span(task="task-1", run="r2")]
    door.append(make_batch([spans[0], *STRANGE, make_log(), spans[1]]))
    yield tmp_path
    door.close()


def _folded(data: Path) -> Projector:
    projector = Projector(data, lambda: open_reader(data), make_folds)
    while projector.step():
        pass
    return projector


def test_every_projection_comes_to_the_head(data: Path) -> None:
    """What is known among the strangers counts; nothing is a dead letter; a rebuild agrees."""
    with closing(_folded(data)) as projector:
        for rebuilt in (False, True):
            if rebuilt:
                list(projector.rebuild())
            with closing(connect_reader(data / "views.db")) as views:
                (positions,) = zip(
                    *views.execute("SELECT DISTINCT position FROM checkpoint"), strict=True
                )
                attempts = views.execute("SELECT count(*) FROM attempt").fetchone()[0]
                parked = views.execute("SELECT count(*) FROM dead_letter").fetchone()[0]
            assert (positions, attempts, parked) == ((HEAD,), 2, 0)


def test_only_telemetry_is_forwarded(data: Path) -> None:
    """The spans and the log record go; the cursor moves past the rest, and nothing is parked."""
    with closing(open_reader(data)) as reader:
        start = Place(0, 0, reader.hash_at(0, 0) or b"", reader.log_id, 0)
        (window,) = WindowReader(reader, ("traces", "logs")).new_windows(start)
        head: Head = reader.head()
    assert (window.through.position, window.unsendable) == (head.position, [])
    sent = {signal: len(items) for (_, signal), items in window.requests.items()}
    assert sent == {"traces": 2, "logs": 1}


def _lines(*words: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("kind", "count"), [("unknown", 4), ("fact", 3), ("acme.deployed", 2), ("span", 2)]
)
def test_the_log_shows_them(data: Path, kind: str, count: int) -> None:
    """`log read` tells their tag and fields, and finds them by kind."""
    assert len(_lines("read", "--data", str(data), "--kind", kind)) == count


def test_an_unknown_event_is_shown_with_its_fields(data: Path) -> None:
    """In their order, under the tag; one that JSON has no word for as text."""
    lines = _lines("read", "--data", str(data), "--kind", "unknown")
    assert lines[0]["event"]["tag"] == "span.v9"
    assert lines[0]["event"]["fields"][1] == {names.TASK_ID: "task-1"}
    assert "Ext" in lines[3]["event"]["fields"][0]


def test_a_fact_is_found_by_the_task_and_trace_of_its_subject(data: Path) -> None:
    """As a span is by its own."""
    by_task = _lines("read", "--data", str(data), "--kind", "fact", "--task", "task-1")
    assert [line["event"]["actor"] for line in by_task] == ["ci", "watcher"]
    by_trace = _lines("read", "--data", str(data), "--trace", "07" * 16, "--kind", "fact")
    assert [line["event"]["payload"] for line in by_trace] == [{"task.id": "task-1"}]

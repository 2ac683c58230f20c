"""Questions to views that another release made: their rows answer until they are made anew."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.endpoints import ENDPOINTS
from projections.engine.projector import Projector
from projections.engine.versions import projections_of
from projections.queries import Queries
from projections.query.refusals import OfAnotherRelease
from projections.runs.words import attempt_id
from tests.events import make_batch, make_exception, make_span, trace_id
from tests.views import make_folder

VIEWS = sorted({name for e in ENDPOINTS for name in (*e.reads, *e.joins)} - {"traces"})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A failed attempt with all that the lists show, and its retry."""
    said = {
        "task.name": "Checkout", "task.group.id": "flow-1", "task.executor.id": "w1",
        "task.queued_at": 1_779_999_999_000_000_000, "task.max_attempts": 3,
    }  # fmt: skip
    failed = make_span(
        trace_id=trace_id(7), status_code=2, events=[make_exception()], attributes=said
    )
    spans = [failed, make_span(trace_id=trace_id(7)), make_span(task="other")]
    return make_folder(tmp_path_factory.mktemp("made"), [make_batch(spans)])


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A folder of its own, whose views may be changed."""
    return Path(shutil.copytree(made, tmp_path / "data", symlinks=True))


@pytest.fixture
def queries(folder: Path) -> Iterator[Queries]:
    with closing(Queries(folder)) as queries:
        yield queries


def lose(folder: Path, table: str, column: str | None = None, projection: str = "") -> None:
    """Let a table, or a column of it, never have been there, and its projection be older."""
    with closing(sqlite3.connect(folder / "views.db")) as views, views:
        views.execute("PRAGMA synchronous = OFF")
        views.execute("PRAGMA legacy_alter_table = ON")  # SQL views that name it stay as they are
        if column is not None:
            info = views.execute(f"PRAGMA table_info({table})")
            left = ", ".join(row[1] for row in info if row[1] != column)
            views.execute(f"CREATE TABLE older AS SELECT {left} FROM {table}")
        views.execute(f"DROP TABLE {table}")
        if column is not None:
            views.execute(f"ALTER TABLE older RENAME TO {table}")
        views.execute("UPDATE checkpoint SET version = 1 WHERE projection = ?", (projection,))


def ask(queries: Queries, path: str) -> Any:
    """The answer at an endpoint's path about the attempts."""
    trace = trace_id(7).hex()
    known = {
        "task_id": "task-1", "trace_id": trace, "fingerprint": "",
        "attempt_id": attempt_id("default", "task-1", trace, 1),
    }  # fmt: skip
    if "{fingerprint}" in path:
        with closing(sqlite3.connect(queries.views.path())) as views:
            (known["fingerprint"],) = views.execute(
                "SELECT fingerprint FROM fingerprint"
            ).fetchone()
    endpoint = next(e for e in ENDPOINTS if e.path == path)
    is_listed = "{" not in path and "task" in endpoint.asks.__struct_fields__
    asked = {"task": "task-1"} if is_listed else {}
    return msgspec.to_builtins(queries.answer(path.format(**known), asked))


def nulled(document: Any, fields: list[str]) -> Any:
    """An answer in which these fields of all records are null and named."""
    if isinstance(document, list):
        return [nulled(one, fields) for one in document]
    if not isinstance(document, dict):
        return document
    told = {
        key: None if key in fields else nulled(value, fields) for key, value in document.items()
    }
    return told | ({"behind": fields} if "behind" in document else {})


@pytest.mark.parametrize(
    ("table", "column", "projection", "fields"),
    [
        ("attempt", "progress", "attempts", ["progress"]),
        ("attempt", "max_attempts", "attempts", ["max_attempts"]),
        (
            "attempt",
            "queued_ns",
            "attempts",
            ["queued_ns", "queue_wait_ns", "queue_wait_s", "queued_at"],
        ),
        ("run", "parents", "runs", ["parents"]),
        ("run", "left_out", "runs", []),
        ("run", "group_id", "runs", ["group_id"]),
    ],
)
def test_what_rows_lack_is_null_and_named(
    folder: Path, queries: Queries, table: str, column: str, projection: str, fields: list[str]
) -> None:
    """Lists answer all the rest; what has a default is as it says, and not named."""
    path = f"{table}s"
    before = ask(queries, path)
    lose(folder, table, column, projection)
    after = ask(queries, path)
    assert after["behind"] == fields
    assert nulled(after, fields) == nulled(before, fields)
    assert ask(queries, path) == after  # from the same connections


@pytest.mark.parametrize("projection", VIEWS)
def test_no_question_fails_otherwise(made: Path, tmp_path: Path, projection: str) -> None:
    """Whichever table of a view is not there, or column that may be null, or key: an answer, or a
    word of another release."""
    paths = [str(e.path) for e in ENDPOINTS if projection in (*e.reads, *e.joins)]
    with closing(Queries(made)) as queries:
        whole = {path: ask(queries, path).keys() for path in paths}
    tables = next(p.tables for p in projections_of(make_folds()) if p.name == projection)
    with closing(sqlite3.connect(made / "views.db")) as views:
        places: list[tuple[str, str | None]] = [(table, None) for table in tables]
        for table in tables:
            names = views.execute(
                'SELECT name FROM pragma_table_info(?) WHERE NOT "notnull" OR pk = 1', (table,)
            )
            places += [(table, name) for (name,) in names]
    answered = refused = 0
    for number, (table, column) in enumerate(places):
        data = Path(shutil.copytree(made, tmp_path / str(number), symlinks=True))
        lose(data, table, column, projection)
        with closing(Queries(data)) as queries:
            for path in paths:
                try:
                    answer = ask(queries, path)
                except OfAnotherRelease:
                    refused += 1
                else:
                    answered += 1
                    assert answer.keys() == whole[path]
    assert answered
    assert refused


def test_a_view_that_is_new_is_refused_and_others_go_on(folder: Path, queries: Queries) -> None:
    """Of tables that are not there yet nothing is told; what they add elsewhere is null."""
    lose(folder, "task", None, "tasks")
    with pytest.raises(OfAnotherRelease):
        ask(queries, "tasks")
    attempts = ask(queries, "attempts")
    assert attempts["behind"] == ["task_name"]
    assert [one["task_name"] for one in attempts["items"]] == [None, None]
    with pytest.raises(OfAnotherRelease):
        ask(queries, "tasks")


def test_a_table_that_was_split_off_is_empty_in_older_views(folder: Path, queries: Queries) -> None:
    """What another release has in one table only goes on answering."""
    before = ask(queries, "metrics/tasks")
    lose(folder, "metric_one", None, "task_metrics")
    assert before["items"]
    assert ask(queries, "metrics/tasks") == before


def test_the_views_made_anew_tell_everything(folder: Path, queries: Queries) -> None:
    """From the switch on nothing is null any more, for those who asked before too."""
    before = ask(queries, "attempts")
    lose(folder, "attempt", "max_attempts", "attempts")
    assert ask(queries, "attempts")["behind"] == ["max_attempts"]
    with closing(Projector(folder, lambda: open_reader(folder), make_folds)) as projector:
        for _ in projector.rebuild(["attempts"]):
            pass
    assert ask(queries, "attempts") == before

"""An answer whose projections have not all seen the same of the log."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from projections.assembly import make_folds
from projections.endpoints import ENDPOINTS, route
from projections.engine.versions import projections_of
from projections.queries import Queries
from projections.query.endpoint import Endpoint
from projections.runs.words import attempt_id
from tests.events import make_batch, make_exception, make_span, trace_id
from tests.views import make_folder

JOINED = [(e.path, name) for e in ENDPOINTS for name in e.joins]
READ = [(e.path, name) for e in ENDPOINTS for name in e.reads]


@pytest.fixture
def queries(tmp_path: Path) -> Iterator[Queries]:
    """A failed attempt with a name, a group and a time in the queue."""
    span = make_span(
        trace_id=trace_id(7), status_code=2, events=[make_exception()],
        attributes={
            "task.name": "Checkout", "task.group.id": "flow-1",
            "task.queued_at": 1_779_999_999_000_000_000,
        },
    )  # fmt: skip
    queries = Queries(make_folder(tmp_path, [make_batch([span, make_span(task="other")])]))
    yield queries
    queries.close()


def ask(queries: Queries, path: str) -> dict[str, Any]:
    """The answer at an endpoint's path about the failed attempt."""
    fingerprint = queries.answer("errors", {}).items[0].fingerprint  # type: ignore[attr-defined]
    known = {
        "task_id": "task-1", "trace_id": trace_id(7).hex(), "fingerprint": fingerprint,
        "attempt_id": attempt_id("default", "task-1", trace_id(7).hex(), 1),
    }  # fmt: skip
    routed = route(path)
    assert routed is not None
    is_listed = "{" not in path and "task" in routed[0].asks.__struct_fields__
    parameters = {"task": "task-1"} if is_listed else {}
    document: dict[str, Any] = msgspec.to_builtins(queries.answer(path.format(**known), parameters))
    return document


def hold_back(queries: Queries, projection: str) -> None:
    """Let a projection have seen one event less than the others."""
    with closing(sqlite3.connect(queries.views.path())) as views, views:
        moved = views.execute(
            "UPDATE checkpoint SET position = position - 1 WHERE projection = ?", (projection,)
        )
        assert moved.rowcount == 1


def records(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an answer: its items, a trace's attempts, or itself."""
    found: list[dict[str, Any]] = document.get("items") or document.get("attempts") or [document]
    return found if isinstance(found, list) else [document]


@pytest.mark.parametrize(("path", "projection"), JOINED)
def test_fields_of_a_view_that_is_behind_are_null(
    queries: Queries, path: str, projection: str
) -> None:
    """They are named in `behind`, the position is the least, and nothing else changes."""
    routed = route(path)
    assert routed is not None
    fields = routed[0].joins[projection]
    before = ask(queries, path)
    assert before["behind"] == []
    assert all(set(fields) <= set(record) for record in records(before))
    hold_back(queries, projection)
    after = ask(queries, path)
    assert after["behind"] == list(fields)
    if "position" in before:
        assert (before["position"], after["position"]) == ("2", "1")
    for was, is_ in zip(records(before), records(after), strict=True):
        nulls = dict.fromkeys(fields)
        left = {"behind": [], "position": "", "total": 0}
        assert is_ | left == was | nulls | left


@pytest.mark.parametrize(("path", "projection"), READ)
def test_an_answer_is_as_old_as_the_view_that_it_is_made_of(
    queries: Queries, path: str, projection: str
) -> None:
    """Its position is the least, and what other views add is not behind it."""
    before = ask(queries, path)
    hold_back(queries, projection)
    after = ask(queries, path)
    assert after.get("position", "1") == "1"
    moving = {"position": "", "since": "", "until": ""}  # windows that end now
    assert after | moving == before | moving


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.reads], ids=lambda e: str(e.path))
def test_an_answer_is_made_of_what_its_endpoint_names(queries: Queries, endpoint: Endpoint) -> None:
    """No table is read of a projection that it neither reads nor joins; the stage is all's."""
    owners = {t: p.name for p in projections_of(make_folds(None)) for t in p.tables}
    read: set[str] = set()

    def note(action: int, table: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table in owners:
            read.add(owners[table])
        return sqlite3.SQLITE_OK

    with queries.views.read() as connection:
        connection.set_authorizer(note)
    ask(queries, endpoint.path)
    of_ask = {"error_patterns", "triage"}  # which look up the fingerprint
    assert read - {"facts"} - of_ask <= {*endpoint.reads, *endpoint.joins}
    assert read & {*endpoint.reads}


def test_the_fields_that_are_null_were_there(queries: Queries) -> None:
    """The tests above compare something: the attempt has a name, a group and a reason."""
    (attempt,) = ask(queries, "attempts")["items"]
    assert (attempt["task_name"], attempt["group_id"]) == ("Checkout", "flow-1")
    assert {item["reason"] for item in ask(queries, "history")["items"]} > {None}
    assert ask(queries, "tasks/{task_id}")["error"] is not None

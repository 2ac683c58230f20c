"""The history of changes: answered from attempts and waiting runs, as the SQL view shows it."""

from typing import Any

import pytest

from events import names
from projections.queries import Queries
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_span
from tests.views import make_folder

QUEUED_AT = {names.TASK_QUEUED_AT: "2026-05-28T20:26:00Z"}
SPANS = [
    make_span(task="plain", run="r"),
    make_span(task="queued", run="r", attributes=QUEUED_AT, status_code=2,
              events=[make_exception()]),
    make_span(task="queued", run="r", attempt=2, start_ns=BASE_NS + 9 * SECOND_NS, end_ns=0),
    make_span(task="queued", run="s", attributes={names.TASK_RESULT: "running"}),
    make_span(task="waiting", run="r", kind=4),
    make_span(task="plain", run="s", attributes={names.TASK_RESULT: "skipped"}),
]  # fmt: skip
_SELECT = """
SELECT at_ns, task_id, run_id, attempt_key & 1048575, word, text
FROM transition JOIN run_key ON run_no = attempt_key >> 20
JOIN task_key ON task_key.task_no = transition.task_no
JOIN status_word USING (status) LEFT JOIN message USING (message_no)
ORDER BY at_ns DESC, attempt_key DESC, step DESC
"""


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Queries:
    return Queries(make_folder(tmp_path_factory.mktemp("history"), [make_batch(SPANS)]))


def _stored(queries: Queries) -> list[tuple[Any, ...]]:
    with queries.views.read() as connection:
        return [tuple(row) for row in connection.execute(_SELECT)]


def _listed(queries: Queries, **asked: str) -> list[tuple[Any, ...]]:
    """Every page of a list."""
    items: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page: Any = queries.answer("history", {"limit": "2", **asked, **cursor})
        items += page.items
        if page.next is None:
            return [
                (i.time_ns, i.task_id, i.run_id, i.attempt or 0, i.new_status, i.reason)
                for i in items
            ]
        cursor = {"cursor": page.next}


def test_the_history_is_all_that_happened(queries: Queries) -> None:
    """Queueing, beginning and end of each attempt, and the queueing of runs that have none."""
    stored = _stored(queries)
    assert len(stored) == 10
    assert _listed(queries) == stored
    assert _listed(queries, sort="time") == stored[::-1]


@pytest.mark.parametrize("task", ["plain", "queued", "waiting"])
def test_the_history_of_a_task_is_its_part(queries: Queries, task: str) -> None:
    """In the same order."""
    assert _listed(queries, task=task) == [row for row in _stored(queries) if row[1] == task]


@pytest.mark.parametrize("status", ["queued", "running", "completed", "failed", "skipped"])
@pytest.mark.parametrize("task", [{}, {"task": "queued"}])
def test_the_history_into_a_status_is_its_part(
    queries: Queries, status: str, task: dict[str, str]
) -> None:
    """Of all tasks, and of one."""
    expected = [
        row for row in _stored(queries)
        if row[4] == status and row[1] == task.get("task", row[1])
    ]  # fmt: skip
    assert _listed(queries, status=status, **task) == expected


def test_a_failure_tells_its_reason(queries: Queries) -> None:
    """The message of the error, at the end of the attempt and nowhere else."""
    told = {row[4]: row[5] for row in _listed(queries, task="queued") if row[5] is not None}
    assert told == {"failed": "bad order 17"}


def test_what_came_before_is_told(queries: Queries) -> None:
    """A beginning follows the queue where the attempt was seen there; an end follows it always."""
    answer: Any = queries.answer("history", {"task": "queued", "sort": "time"})
    steps = {(i.old_status, i.new_status) for i in answer.items}
    assert steps == {
        (None, "queued"), ("queued", "running"), ("running", "failed"), (None, "running"),
    }  # fmt: skip
    waiting: Any = queries.answer("history", {"task": "waiting"})
    assert [(i.attempt, i.old_status, i.new_status) for i in waiting.items] == [
        (None, None, "queued")
    ]

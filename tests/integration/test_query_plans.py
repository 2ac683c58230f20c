"""Every list that an index must serve: no scan of a table, no sort."""

import re
from pathlib import Path
from typing import Any

import pytest

from projections.queries import Queries
from projections.query import listing
from projections.query.listing import Order, Strand
from projections.views.attempts.question import KEY
from tests.events import make_batch, make_exception, make_span
from tests.views import make_folder

WINDOW = {"since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
SERVED: list[tuple[str, dict[str, str]]] = [
    ("attempts", {}),
    ("attempts", {"task": "task-1"}),
    ("attempts", {"status": "failed"}),
    ("attempts", {"executor": "worker-1"}),
    ("runs", {}),
    ("runs", {"task": "task-1"}),
    ("runs", {"status": "failed"}),
    ("runs", {"executor": "worker-1"}),
    ("tasks", {}),
    ("tasks", {"task": "task-1"}),
    ("tasks", {"status": "failed"}),
    ("tasks", {"executor": "worker-1"}),
    ("tasks/task-1/runs", {}),
    ("errors", {}),
    ("errors/{fingerprint}/occurrences", {}),
    ("metrics/tasks", {}),
    ("metrics/tasks", {"task": "task-1"}),
    ("metrics/tasks", {"executor": "worker-1"}),
    ("history", {}),
    ("history", {"task": "task-1"}),
    ("history", {"status": "failed"}),
]


# Few rows by their nature: one a projection, the lines of one task, some parts of one pattern.
SMALL = re.compile(
    r"FROM (checkpoint|task_metric AS m|error_component)\b|LIMIT (5|10)\s*\) AS (o|et)\b"
)
# `held` are the statuses that occur.
COSTLY = re.compile(r"\bSCAN\b(?! held$)(?!.* VIRTUAL TABLE)|TEMP B-TREE", re.MULTILINE)


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Queries:
    """A folder with three failed attempts of `task-1` on `worker-1`, each in a run of its own."""
    failed = [
        make_span(
            attributes={"task.executor.id": "worker-1"}, status_code=2, events=[make_exception()]
        )
        for _ in range(3)
    ]
    return Queries(make_folder(tmp_path_factory.mktemp("plans"), [make_batch(failed)]))


@pytest.mark.parametrize("sort", ["newest", "oldest"])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize(("resource", "filters"), SERVED)
def test_a_list_by_one_filter_is_served_by_an_index(
    queries: Queries, resource: str, filters: dict[str, str], windowed: bool, sort: str
) -> None:
    """No statement reads a whole table or sorts, on the first page and after a cursor."""
    if "{" in resource:
        resource = resource.format(fingerprint=fingerprint(queries))
    given = filters | {"limit": "1"}
    if not resource.startswith("metrics"):
        given |= WINDOW if windowed else {}
        given |= oldest(resource) if sort == "oldest" else {}
    for plan in plans_of(queries, resource, given):
        assert not COSTLY.search(plan), plan


def oldest(resource: str) -> dict[str, str]:
    """The parameter that turns a list round."""
    for part, by in (("occurrences", "seen"), ("errors", "last_seen"), ("history", "time")):
        if part in resource:
            return {"sort": by}
    return {"sort": "started"}


def fingerprint(queries: Queries) -> str:
    """The one error pattern there is."""
    found: Any = queries.answer("errors", {})
    name: str = found.items[0].fingerprint
    return name


def plans_of(queries: Queries, resource: str, given: dict[str, str]) -> list[str]:
    """SQLite's plan of each statement that the first two pages run."""
    ran: list[str] = []
    with queries.views.read() as connection:
        connection.set_trace_callback(ran.append)
    first: Any = queries.answer(resource, given)
    assert first.items
    if first.next is not None:
        queries.answer(resource, given | {"cursor": first.next})
    with queries.views.read() as connection:
        connection.set_trace_callback(None)
        return [
            "\n".join((sql, *(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}"))))
            for sql in dict.fromkeys(ran)
            if "SELECT" in sql and not SMALL.search(sql)
        ]


def test_keys_are_read_no_further_than_needed(tmp_path: Path) -> None:
    """A page of ten takes eleven keys, however long the list is."""
    spans = [make_span(start_ns=1_700_000_000_000_000_000 + n) for n in range(300)]
    queries = Queries(make_folder(tmp_path, [make_batch(spans)]))
    with queries.views.read() as connection:
        taken: list[int] = []

        def rows(keys: Any) -> Any:
            taken.append(len(keys))
            return {key: key for key in keys}

        strand = Strand("attempt", KEY, "tenant_no = ? AND status = ?", (1, 2))
        found = listing.find(
            connection, [strand], Order(), rows, 10, listing.Budget(2.0), filtered=False
        )
    assert taken == [11]
    assert found.rows == sorted(found.rows, reverse=True)
    queries.close()

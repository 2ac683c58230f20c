"""From attributes on the wire to rows of the views, through the log and the whole fold."""

import sqlite3
from collections.abc import Iterable
from typing import Any

import pytest

from events import names
from events.log.memory import MemoryLog
from events.schema import AttemptAbandoned, Event
from projections.fold import make_fold
from projections.query import lookup
from projections.runs import words
from projections.runs.more import shown_of
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_batch,
    make_context,
    make_exception,
    make_log,
    make_span,
    span_id,
    trace_id,
)
from tests.view_rows import rows_of


def views(*batches: Iterable[Event], **changes: Any) -> sqlite3.Connection:
    """The views of these events; each batch is a page of its own."""
    log = MemoryLog()
    fold = make_fold()
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.row_factory = sqlite3.Row
    fold.create(connection)
    fold.index(connection)
    for events in batches:
        after = log.head().position
        log.append(make_batch(events, **changes))
        fold.apply(connection, log.read(0, after))
    return connection


def one(connection: sqlite3.Connection, select: str) -> dict[str, Any]:
    (row,) = connection.execute(select).fetchall()
    return dict(row)


@pytest.mark.parametrize(
    ("attributes", "code", "word"),
    [
        ({}, 0, "completed"),
        ({}, 1, "completed"),
        ({}, 2, "failed"),
        ({names.TASK_RESULT: "success"}, 2, "completed"),
        ({names.TASK_RESULT: "failure"}, 0, "failed"),
        ({names.TASK_RESULT: "error"}, 0, "failed"),
        ({names.TASK_RESULT: "timeout"}, 2, "timed_out"),
        ({names.TASK_RESULT: "cancellation"}, 2, "cancelled"),
        ({names.TASK_RESULT: "skip"}, 2, "skipped"),
        ({names.TASK_RESULT: "lost"}, 0, "abandoned"),
        ({names.TASK_RESULT: "unknown"}, 0, "unknown"),
        ({names.TASK_RESULT: "Timed_Out"}, 0, "timed_out"),
        ({names.TASK_RESULT: "nonsense"}, 2, "failed"),
        ({names.TASK_RESULT: 7}, 0, "unknown"),
    ],
)
def test_status(attributes: dict[str, Any], code: int, word: str) -> None:
    """The sender's word, else the span's status."""
    span = make_span(
        attributes=attributes, status_code=code, events=[make_exception("TimeoutError")]
    )
    assert one(views([span]), "SELECT word FROM attempt JOIN status_word USING (status)") == {
        "word": word
    }


@pytest.mark.parametrize(
    ("attributes", "executor"),
    [
        ({names.TASK_EXECUTOR_ID: "e", names.TASK_EXECUTOR_TOOL: "t"}, "e"),
        ({names.TASK_EXECUTOR_TOOL: "t", names.TASK_EXECUTOR_MODEL: "m"}, "t"),
        ({names.TASK_EXECUTOR_MODEL: "m"}, "m"),
        ({}, "worker-1"),
        ({names.TASK_EXECUTOR_ID: 7}, "7"),
        ({names.TASK_EXECUTOR_ID: ["x"]}, "worker-1"),
    ],
)
def test_executor(attributes: dict[str, Any], executor: str) -> None:
    """The most exact of what is known names the executor."""
    found = one(
        views([make_span(attributes=attributes)]),
        "SELECT executor FROM attempt JOIN executor USING (executor_no)",
    )
    assert found == {"executor": executor}


def test_everything_that_a_span_says_of_its_attempt() -> None:
    """Columns and the extra facts."""
    attributes = {
        names.TASK_NAME: "checkout",
        names.TASK_GROUP_ID: "dag-1",
        names.TASK_QUEUE: "fast",
        names.TASK_QUEUED_AT: "2026-05-28T20:26:39.5Z",
        names.TASK_MAX_ATTEMPTS: 3,
        names.TASK_EXECUTOR_MODEL: "m1",
        names.TASK_EXECUTOR_PLANNER: "p1",
        names.TASK_BACKFILLED: True,
        names.TASK_PARENTS: ["a", "b"],
        names.TASK_CAUSES: "c",
        names.TASK_IO_FILES_WRITTEN: 4,
        names.TASK_RETRIEVAL_COUNT: 5,
        names.TASK_RETRIEVAL_SOURCES: ["wiki"],
        names.TASK_COST_USD: "0.25",
    }
    found = one(
        views([make_span(attempt=2, run="r", attributes=attributes)]),
        "SELECT attempt.*, queue, model, planner, component, system, group_id, name,"
        " run.backfilled, parents FROM attempt JOIN source USING (source_no)"
        " JOIN run ON run.run_no = attempt_key >> 20 JOIN task ON task.task_no = attempt.task_no",
    )
    assert found["attempt_key"] & words.NUMBER_LIMIT == 2
    assert found["queued_ns"] == BASE_NS - SECOND_NS // 2
    assert (found["queue"], found["model"], found["planner"]) == ("fast", "m1", "p1")
    assert (found["component"], found["system"], found["group_id"]) == ("shop", "native", "dag-1")
    assert (found["max_attempts"], found["backfilled"], found["name"]) == (3, 1, "checkout")
    assert found["parents"] == '["a","b"]'
    assert shown_of(found["extra"]) == {
        "parents": ["a", "b"], "causes": ["c"], "files_written": 4, "retrieval_count": 5,
        "retrieval_sources": ["wiki"], "cost_usd": 0.25,
    }  # fmt: skip


@pytest.mark.parametrize("value", [None, "", [], {"a": 1}, True])
def test_a_task_id_that_is_no_text_makes_no_attempt(value: Any) -> None:
    """And no error either."""
    connection = views([make_span(task=None, attributes={names.TASK_ID: value})])
    assert rows_of(connection, "attempts") == {"attempts.0": []}


def test_spans_and_log_records_of_no_task_are_passed_over() -> None:
    """Most of a trace is no attempt."""
    connection = views([make_span(task=None), make_log(), make_log(event_name="x", task="t")])
    assert rows_of(connection, "tasks") == {"tasks.0": []}


@pytest.mark.parametrize("span_first", [True, False])
def test_a_logged_exception_joins_its_span(span_first: bool) -> None:
    """By trace and span id, whichever arrives first; in pages of their own, or in one."""
    span = make_span(trace_id=trace_id(5), span_id=span_id(6), status_code=2)
    logged = make_log(
        event_name="shop.exception",
        trace_id=trace_id(5),
        span_id=span_id(6),
        attributes={names.EXCEPTION_TYPE: "KeyError", names.EXCEPTION_MESSAGE: "'x'"},
    )
    pages = ([span], [logged]) if span_first else ([logged], [span])
    select = (
        "SELECT error_type, text FROM attempt JOIN fingerprint ON fingerprint_no = error_no >> 16"
        " JOIN message USING (message_no)"
    )
    expected = {"error_type": "KeyError", "text": "'x'"}
    assert one(views(*pages), select) == expected
    assert one(views([*pages[0], *pages[1]]), select) == expected


def test_a_late_parent_takes_its_detail_back() -> None:
    """The child was an attempt while nothing was known of its parent."""
    child = make_span(run="r", span_id=span_id(2), parent_span_id=span_id(1), trace_id=trace_id(1))
    parent = make_span(run="r", span_id=span_id(1), trace_id=trace_id(1))
    connection = views([child], [parent])
    assert one(connection, "SELECT span_id FROM attempt") == {"span_id": span_id(1)}
    assert one(connection, "SELECT executions FROM task_metric WHERE scope = 0") == {
        "executions": 1
    }


def test_lifecycle_by_attribute_name() -> None:
    """Senders whose API has no event_name field put it into an attribute."""
    started = make_log(task="t", run="r", attributes={names.EVENT_NAME: names.ATTEMPT_STARTED})
    connection = views([started])
    assert one(connection, "SELECT status FROM task") == {"status": words.RUNNING}


def test_an_abandoned_attempt_and_its_late_end() -> None:
    """The error pattern appears, and goes again."""
    ids = {"trace_id": trace_id(1), "span_id": span_id(1)}
    started = make_log(event_name=names.ATTEMPT_STARTED, task="t", run="r", **ids)
    abandoned = AttemptAbandoned(
        words.attempt_id("default", "t", "r", 1), "t", "r", *ids.values(),
        BASE_NS + 90, BASE_NS, b"",
    )  # fmt: skip
    connection = views([started], [abandoned])
    assert one(connection, "SELECT status FROM run") == {"status": words.ABANDONED}
    assert one(connection, "SELECT unrecovered FROM error_pattern") == {"unrecovered": 1}
    connection = views([started], [abandoned], [make_span(task="t", run="r", **ids)])
    assert one(connection, "SELECT status FROM run") == {"status": words.COMPLETED}
    assert rows_of(connection, "error_patterns")["error_patterns.0"] == []


def test_error_patterns_count_what_they_touch() -> None:
    """Tasks, components, first and last seen, recovered or not."""
    bad = {"status_code": 2, "events": [make_exception()]}
    connection = views(
        [
            make_span(task="a", run="r", attempt=1, **bad),
            make_span(task="a", run="r", attempt=2, start_ns=BASE_NS + 9 * SECOND_NS),
            make_span(task="b", start_ns=BASE_NS + 50 * SECOND_NS, **bad),
        ]
    )
    found = one(connection, "SELECT * FROM error_pattern")
    assert (found["occurrences"], found["recovered"], found["unrecovered"]) == (2, 1, 1)
    assert (found["tasks"], found["components"]) == (2, 1)
    assert found["first_seen_ns"] == BASE_NS + SECOND_NS
    assert found["last_seen_ns"] == BASE_NS + 51 * SECOND_NS
    texts = "SELECT DISTINCT text FROM error_occurrence JOIN message USING (message_no)"
    assert one(connection, texts)["text"] == "bad order 17"


def test_metrics_by_executor_hour_and_day() -> None:
    """A second executor and a second hour split what one row stood for."""
    hour = 3_600 * SECOND_NS
    spans = [make_span(run=f"r{n}", start_ns=BASE_NS + n * hour) for n in range(3)]
    spans.append(make_span(run="r4", status_code=2, attributes={names.TASK_EXECUTOR_ID: "other"}))
    connection = views(*([span] for span in spans))
    scopes = dict(
        connection.execute("SELECT scope, count(*) FROM task_metric GROUP BY scope").fetchall()
    )
    assert scopes == {0: 1, 1: 2, 2: 3, 3: 1}
    counts = connection.execute(
        "SELECT scope, sum(executions), sum(failed) FROM task_metric GROUP BY scope"
    )
    assert {tuple(row)[1:] for row in counts} == {(4, 1)}


def test_lookups() -> None:
    """Texts lead to numbers, within a tenant."""
    span = make_span(task="t", run="r", trace_id=trace_id(77))
    connection = views([make_span(task="z"), span])
    assert lookup.find_task(connection, "default", "t") == 2
    assert lookup.find_run(connection, "default", "t", "r") == 2
    assert lookup.runs_of_trace(connection, "default", trace_id(77)) == [2]
    assert lookup.find_executor(connection, "default", "worker-1") == 1
    for tenant, task in (("default", "u"), ("other", "t")):
        assert lookup.find_task(connection, tenant, task) is None
    assert lookup.find_run(connection, "default", "t", "s") is None
    assert lookup.runs_of_trace(connection, "other", trace_id(77)) == []


def test_sql_views_have_the_former_columns() -> None:
    """SQL written for the former schema finds its columns."""
    connection = views([make_span()])
    columns = {
        view: [row[1] for row in connection.execute(f"PRAGMA table_info({view})")]
        for view in ("task_executions", "task_metadata", "execution_history", "performance_metrics")
    }
    assert columns == {
        "task_executions": [
            "task_id", "status", "started_at", "completed_at", "error_message", "retry_count",
            "progress", "execution_time", "metadata", "created_at", "updated_at",
        ],
        "task_metadata": [
            "task_id", "title", "priority", "points", "description", "tech_footprint",
            "dependencies", "score_total", "human_required", "human_reason", "created_at",
            "updated_at",
        ],
        "execution_history": ["id", "task_id", "status", "timestamp", "message", "metadata"],
        "performance_metrics": [
            "task_id", "avg_execution_time", "success_rate", "total_executions",
            "successful_executions", "failed_executions", "last_execution", "created_at",
            "updated_at",
        ],
    }  # fmt: skip


def test_sql_views_show_the_latest_run() -> None:
    """Times as text, seconds summed, the failure's message, the tenant `default` only."""
    events = [
        make_span(run="r1", start_ns=BASE_NS - 9 * SECOND_NS),
        make_span(run="r2", attempt=1, status_code=2, events=[make_exception()]),
        make_span(run="r2", attempt=2, start_ns=BASE_NS + 5 * SECOND_NS + 1_500, status_code=2),
    ]
    connection = views(events)
    found = one(connection, "SELECT * FROM task_executions")
    assert (found["task_id"], found["status"], found["retry_count"]) == ("task-1", "failed", 1)
    assert found["started_at"] == "2026-05-28 20:26:40.000000"
    assert found["completed_at"] == "2026-05-28 20:26:46.000001"
    assert found["execution_time"] == 2.0
    assert one(connection, "SELECT title, priority, points FROM task_metadata") == {
        "title": "task-1", "priority": "", "points": 0,
    }  # fmt: skip
    found = one(connection, "SELECT * FROM performance_metrics")
    assert (found["total_executions"], found["successful_executions"]) == (3, 1)
    assert found["success_rate"] == pytest.approx(1 / 3)
    assert one(views(events, tenant="other"), "SELECT count(*) AS n FROM task_executions") == {
        "n": 0
    }


def test_history_ids_are_distinct_and_positive() -> None:
    """63 bits of the row's key."""
    connection = views([make_span(attempt=n, run="r") for n in range(1, 30)])
    ids = [row[0] for row in connection.execute("SELECT id FROM execution_history")]
    assert len(ids) == len(set(ids)) == 58
    assert all(0 <= id_ < 1 << 63 for id_ in ids)


def test_instances_are_sources_of_their_own() -> None:
    """Two resources in one log do not share what was learnt of the first."""
    connection = views([make_span()], context=make_context(service="mail", instance="w9"))
    assert one(connection, "SELECT component FROM source") == {"component": "mail"}

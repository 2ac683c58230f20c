"""The API over a real log and real folds: every endpoint's answer, filters, pages, positions."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from events import names
from events.log.door import GroupDoor
from tests.api_service import nobody_answers, pages, serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_log, make_span
from tests.events import trace_id as trace_of
from tests.views import make_folder

ODD_ID = "flow/ä?&#%2F ' \"\U0001f600/..\n"


def make_world() -> list[Any]:
    """`nightly` fails, then recovers; `import` fails for good; three more complete."""
    failed = make_span(
        task="nightly", run="r1", attempt=1, trace_id=trace_of(1 << 40), status_code=2,
        start_ns=BASE_NS, events=[make_exception("TimeoutError", "no answer")],
        attributes={names.TASK_EXECUTOR_ID: "w1", names.TASK_NAME: "Nightly report"},
    )  # fmt: skip
    again = make_span(
        task="nightly", run="r1", attempt=2, trace_id=trace_of(1 << 40),
        start_ns=BASE_NS + 3 * SECOND_NS,
        attributes={names.TASK_EXECUTOR_ID: "w2", names.TASK_EXECUTOR_MODEL: "m-1"},
    )  # fmt: skip
    detail = make_span(
        task=None, trace_id=trace_of(1 << 40), parent_span_id=again.span_id, name="write",
        start_ns=BASE_NS + 3 * SECOND_NS + 1, attributes={"raw": b"\x00\xff", "nan": float("nan")},
    )  # fmt: skip
    log = make_log(trace_id=trace_of(1 << 40), span_id=again.span_id, body={"text": "half way"})
    broken = make_span(
        task="import", run="r2", status_code=2, start_ns=BASE_NS + 10 * SECOND_NS,
        events=[make_exception("ValueError", "row 17")],
    )  # fmt: skip
    odd = make_span(task=ODD_ID, run="r3", start_ns=BASE_NS + 20 * SECOND_NS)
    others = [
        make_span(task=f"bulk-{n}", start_ns=BASE_NS + (30 + n) * SECOND_NS) for n in range(3)
    ]
    return [failed, again, detail, log, broken, odd, *others]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folded world."""
    return make_folder(tmp_path_factory.mktemp("api"), [make_batch(make_world())])


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A client of the API on the world."""
    with serving(data) as client:
        yield client


def ask(client: httpx.Client, path: str, **parameters: Any) -> Any:
    """The answer to a question that is answered."""
    answer = client.get(f"/api/v1/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_attempt_tells_everything(client: httpx.Client) -> None:
    """The names that others rely on, times in both forms, executor, error and provenance."""
    (attempt,) = ask(client, "attempts", task="nightly", status="failed")["items"]
    expected = {
        "task_id": "nightly", "task_name": "Nightly report", "run_id": "r1", "group_id": None,
        "attempt": 1, "status": "failed", "queued_at": None, "started_ns": BASE_NS,
        "ended_ns": BASE_NS + SECOND_NS, "duration_ns": SECOND_NS, "duration_s": 1.0,
        "trace_id": trace_of(1 << 40).hex(), "retry_of": None, "backfilled": False,
        "component": "shop",
        "started_at": "2026-05-28T20:26:40Z", "ended_at": "2026-05-28T20:26:41Z",
    }  # fmt: skip
    assert {name: attempt[name] for name in expected} == expected
    assert attempt["executor"] == "w1"
    assert (attempt["error"]["type"], attempt["error"]["message"]) == ("TimeoutError", "no answer")
    assert set(attempt) >= {"attempt_id", "inferred", "queue", "span_id", "system"}


def test_a_run_adds_its_attempts_up(client: httpx.Client) -> None:
    """Retries, recovery, execution, wall clock and idle time by their definitions."""
    (run,) = ask(client, "runs", task="nightly")["items"]
    expected = {
        "run_id": "r1", "status": "completed", "attempts": 2, "retries": 1, "recovered": True,
        "total_execution_ns": 2 * SECOND_NS, "wall_clock_ns": 4 * SECOND_NS,
        "idle_ns": 2 * SECOND_NS, "trace_ids": [trace_of(1 << 40).hex()],
    }  # fmt: skip
    assert {name: run[name] for name in expected} == expected


def test_a_retry_names_the_attempt_it_repeats(client: httpx.Client) -> None:
    """`retry_of` is an attempt id of the same run."""
    second, first = ask(client, "attempts", task="nightly", run="r1")["items"]
    assert second["retry_of"] in (first["attempt_id"], None)
    assert (second["attempt"], first["attempt"]) == (2, 1)


def test_a_trace_is_whole(client: httpx.Client) -> None:
    """Attempts in order, retries, final status, every span and log record of the trace."""
    trace = ask(client, f"traces/{trace_of(1 << 40).hex().upper()}")
    assert [a["attempt"] for a in trace["attempts"]] == [1, 2]
    assert (trace["retry_count"], trace["final_status"]) == (1, "completed")
    assert [span["name"] for span in trace["spans"]] == ["run", "run", "write"]
    assert trace["logs"][0]["body"] == {"text": "half way"}
    span = trace["spans"][2]
    assert span["attributes"] == {"raw": "AP8=", "nan": "NaN"}
    assert (span["kind"], span["position"], span["resource"]["attributes"]["service.name"]) == (
        "internal", "3", "shop",
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["", "/runs"])
def test_task_ids_may_hold_any_character(client: httpx.Client, suffix: str) -> None:
    """An encoded id with slashes, spaces, quotes, emoji and a newline names its task."""
    answer = ask(client, f"tasks/{quote(ODD_ID, safe='')}{suffix}")
    assert (answer["items"][0] if suffix else answer)["task_id"] == ODD_ID


def test_a_task_has_the_state_of_its_latest_run(client: httpx.Client) -> None:
    """One task by its id."""
    task = ask(client, "tasks/nightly")
    assert (task["status"], task["runs"], task["attempts"], task["retries"]) == (
        "completed", 1, 2, 1,
    )  # fmt: skip
    assert (task["recovered_runs"], task["executor"]) == (1, "w2")


@pytest.mark.parametrize(
    ("path", "filters", "expected"),
    [
        ("tasks", {"q": "bulk-"}, ["bulk-2", "bulk-1", "bulk-0"]),
        ("tasks", {"q": "Nightly"}, ["nightly"]),
        ("tasks", {"q": "%"}, []),
        ("tasks", {"status": "failed"}, ["import"]),
        ("tasks", {"executor": "w2"}, ["nightly"]),
        ("tasks", {"executor": "w1"}, []),
        ("tasks", {"min_attempts": 2}, ["nightly"]),
        ("tasks", {"model": "m-1"}, ["nightly"]),
        ("tasks", {"sort": "started", "limit": 2}, ["nightly", "import"]),
        ("tasks", {"task": "unheard of"}, []),
        ("tasks", {"backfilled": "true"}, []),
        ("runs", {"executor": "w2"}, ["nightly"]),
        ("runs", {"executor": "w1"}, []),
        ("runs", {"component": "shop", "q": "im"}, ["import"]),
        ("runs", {"status": "failed", "min_attempts": 1}, ["import"]),
        ("attempts", {"executor": "w1", "status": "failed"}, ["nightly"]),
        ("attempts", {"executor": "w1", "status": "completed"}, []),
        ("attempts", {"since": "2026-05-28T20:27:11Z"}, ["bulk-2", "bulk-1"]),
        ("attempts", {"until": "2026-05-28T22:26:50+02:00"}, ["nightly", "nightly"]),
        ("attempts", {"since": "2026-05-28T20:26:50.000000001Z", "until": "2026-05-28T20:27:10Z"},
         [ODD_ID]),
        ("history", {"status": "failed"}, ["import", "nightly"]),
    ],
)  # fmt: skip
def test_filters_narrow_lists(
    client: httpx.Client, path: str, filters: dict[str, Any], expected: list[str]
) -> None:
    """Each filter means what its description says, alone and with others."""
    assert [item["task_id"] for item in ask(client, path, **filters)["items"]] == expected


@pytest.mark.parametrize(
    "path", ["tasks", "runs", "attempts", "errors", "metrics/tasks", "history"]
)
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_make_up_the_whole_list(client: httpx.Client, path: str, limit: int) -> None:
    """Following `next` gives every item once, in the order of one big page."""
    whole = ask(client, path, limit=1000)["items"]
    paged = list(pages(client, f"/api/v1/{path}", limit=limit))
    assert [item for page in paged for item in page["items"]] == whole
    assert all(len(page["items"]) <= limit for page in paged)
    assert len(whole) > 1 or path == "errors"


@pytest.mark.parametrize("path", ["tasks", "runs", "attempts", "history"])
def test_the_order_can_be_turned_round(client: httpx.Client, path: str) -> None:
    """Oldest first is newest first turned round, page by page."""
    newest = ask(client, path)["items"]
    oldest = pages(
        client, f"/api/v1/{path}", limit=2, sort="time" if path == "history" else "started"
    )
    assert [item for page in oldest for item in page["items"]] == newest[::-1]


@pytest.mark.parametrize("sort", ["last_seen", "first_seen", "count"])
def test_error_patterns_can_be_sorted(client: httpx.Client, sort: str) -> None:
    """Each order, both ways, over pages."""
    ways = [
        [
            item
            for page in pages(client, "/api/v1/errors", limit=1, sort=way)
            for item in page["items"]
        ]
        for way in (sort, f"-{sort}")
    ]
    assert ways[0] == ways[1][::-1]
    assert len(ways[0]) == 2


def test_an_error_pattern_leads_to_its_occurrences(client: httpx.Client) -> None:
    """The pattern by its fingerprint, its tasks, its occurrences and whether they recovered."""
    (pattern,) = ask(client, "errors", q="TimeoutError")["items"]
    assert ask(client, f"errors/{pattern['fingerprint']}").items() >= pattern.items()
    assert (pattern["count"], pattern["recovered"], pattern["task_ids"]) == (1, 1, ["nightly"])
    (occurrence,) = ask(client, f"errors/{pattern['fingerprint']}/occurrences")["items"]
    assert (occurrence["task_id"], occurrence["recovered"]) == ("nightly", True)
    assert pattern["examples"] == [occurrence["attempt_id"]]
    assert ask(client, "errors", task="import")["items"][0]["type"] == "ValueError"


def test_metrics_of_a_task(client: httpx.Client) -> None:
    """Counts, rate and durations over all executors first, then a line for each."""
    all_, *each = ask(client, "metrics/tasks", task="nightly")["items"]
    assert [line["executor"] for line in each] == ["w1", "w2"]
    assert ask(client, "metrics/tasks", task="nightly", by="task")["items"] == [all_]
    expected = {
        "executor": None, "executions": 2, "successes": 1, "failures": 1, "success_rate": 0.5,
        "runs": 1, "recovered_runs": 1, "retries": 1,
    }  # fmt: skip
    assert {name: all_[name] for name in expected} == expected
    assert all_["duration_s"]["p99"] == pytest.approx(1.0, rel=0.02)
    each = [
        line["executor"]
        for page in pages(client, "/api/v1/metrics/tasks", task="nightly", by="executor", limit=1)
        for line in page["items"]
    ]
    assert sorted(each) == ["w1", "w2"]
    assert [m["executor"] for m in ask(client, "metrics/tasks", executor="w2")["items"]] == ["w2"]


@pytest.mark.parametrize(("bucket", "start"), [("hour", "20:00:00"), ("day", "00:00:00")])
def test_trends_come_in_buckets(client: httpx.Client, bucket: str, start: str) -> None:
    """The figures of one task by hour or day, within bounds."""
    (line,) = ask(client, "metrics/tasks", task="nightly", bucket=bucket)["items"]
    assert (line["bucket"], line["bucket_start"]) == (bucket, f"2026-05-28T{start}Z")
    later = ask(
        client, "metrics/tasks", task="nightly", bucket=bucket, since="2026-05-29T00:00:00Z"
    )
    assert later["items"] == []


def test_history_tells_what_changed_when(client: httpx.Client) -> None:
    """The transitions of one task's attempts, oldest first."""
    found = ask(client, "history", task="nightly", sort="time")["items"]
    told = [(t["attempt"], t["old_status"], t["new_status"]) for t in found]
    assert told == [
        (1, None, "running"), (1, "running", "failed"),
        (2, None, "running"), (2, "running", "completed"),
    ]  # fmt: skip
    assert found[1]["reason"] == "no answer"


def test_projections_and_head_tell_where_things_stand(client: httpx.Client) -> None:
    """Every projection stands at the head, with no lag; the head is an anchor."""
    document = ask(client, "projections")
    named = {item["name"] for item in document["items"]}
    assert named >= {"attempts", "runs", "tasks", "task_metrics", "error_patterns", "traces"}
    assert {(i["position"], i["lag_events"], i["lag_s"]) for i in document["items"]} == {
        ("9", 0, 0.0)
    }
    head = ask(client, "log/head")
    assert head["position"] == "9"
    assert head["anchor"] == f"9:{head['hash']}"


def test_an_answer_names_what_the_views_have_seen(client: httpx.Client) -> None:
    """`position` of a list, and `min_position` that is seen already."""
    assert ask(client, "tasks", min_position="9")["position"] == "9"


def test_waiting_for_a_position(tmp_path: Path) -> None:
    """Not seen in time: 503 with the position reached; seen while waiting: the answer."""
    data = make_folder(tmp_path, [make_batch([make_span()])])
    door = GroupDoor(data)
    door.append(make_batch([make_span(task="late")]))
    door.close()
    with serving(data) as client:
        started_s = time.monotonic()
        answer = client.get("/api/v1/tasks", params={"min_position": "2", "wait_s": "0.3"})
        assert (answer.status_code, answer.json()["position"]) == (503, "1")
        assert 0.3 <= time.monotonic() - started_s < 5
        assert answer.headers["retry-after"] == "1"
        catching_up = threading.Timer(0.3, make_folder, (data, []))
        catching_up.start()
        found = ask(client, "tasks", min_position="2", wait_s="20")
        catching_up.join()
        assert {task["task_id"] for task in found["items"]} == {"task-1", "late"}


def test_a_view_of_the_past_answers_by_name(tmp_path: Path) -> None:
    """`view` asks another file; the live one is untouched, an unknown name is 404."""
    past = make_folder(tmp_path / "past", [make_batch([make_span(task="then")])])
    data = make_folder(tmp_path / "now", [make_batch([make_span(task="now")])])
    (past / "views.db").resolve().rename(data / "views-asof-monday.db")
    with serving(data) as client:
        assert ask(client, "tasks", view="monday")["items"][0]["task_id"] == "then"
        assert ask(client, "tasks")["items"][0]["task_id"] == "now"
        assert client.get("/api/v1/tasks", params={"view": "sunday"}).status_code == 404
        answer = client.get("/api/v1/tasks", params={"view": "../now", "limit": "1"})
        assert answer.status_code == 400


def test_a_question_without_an_index_ends_in_its_time(tmp_path: Path) -> None:
    """With no time at all a search answers part by part; following `next` finds everything."""
    spans = [make_span(task=f"t-{n % 100}", start_ns=BASE_NS + n) for n in range(3000)]
    data = make_folder(tmp_path, [make_batch(spans)])
    with serving(data, query_budget_s=0.001) as client:
        found = list(pages(client, "/api/v1/attempts", q="t-7", limit=1000))
    items = [item for page in found for item in page["items"]]
    assert len(items) == 330
    assert len(found) > 1
    assert not found[0]["complete"]
    assert found[-1]["complete"]


def test_health_and_metrics(tmp_path: Path, client: httpx.Client) -> None:
    """Live always; ready when all roles answer and views are there; metrics in one text."""
    assert client.get("/api/v1/health/ready").json()["status"] == "ready"
    assert "spanledger_requests_total" in client.get("/metrics").text
    with serving(tmp_path, probe=nobody_answers) as other:
        assert other.get("/api/v1/health/live").status_code == 200
        answer = other.get("/api/v1/health/ready")
        assert answer.status_code == 503
        assert answer.json()["missing"] == ["receiver", "writer", "projector", "views"]


def test_pages_for_people(client: httpx.Client) -> None:
    """Overview and documentation are HTML that loads nothing from elsewhere."""
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert not re.findall(r"(?:src|href)=\"(?:\w+:)?//", page.text)
    assert "7 attempts of all time" in client.get("/").text

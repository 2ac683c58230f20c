"""The tools for agents, on views of a real log."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from events.errors import BadInput, NotFound, Rejected
from projections.queries import Queries
from projections.query import listing
from service.cli.source.remote import RemoteSource
from service.mcp.answering import MOST_BYTES, answer
from service.mcp.tools.tool import Timed, TookTooLong
from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_context, make_exception, make_span
from tests.views import make_folder

CONTRACT = {
    "id", "task_id", "task_name", "status", "started_at", "ended_at", "duration_ms", "trace_id",
    "span_id", "attempt", "error", "retrieval", "io", "backfilled",
}  # fmt: skip


class Views:
    """The views of a folder, asked as the service does."""

    def __init__(self, data: Path) -> None:
        self.queries = Queries(data)

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """See `Source.ask`."""
        given = {name: value for name, value in filters.items() if value is not None}
        document: dict[str, Any] = msgspec.to_builtins(self.queries.answer(resource, given))
        return document


def spans_of(task: str, run: str, second: int, worker: str, *outcomes: str) -> list[Any]:
    """A run: an attempt for each outcome (`ok`, or an error's message), 10 s apart."""
    spans = []
    for number, outcome in enumerate(outcomes, 1):
        failed = outcome != "ok"
        spans.append(
            make_span(
                task=task, run=run, attempt=number, status_code=2 if failed else 1,
                start_ns=BASE_NS + (second + 10 * (number - 1)) * SECOND_NS,
                events=[make_exception("ConnectionError", outcome)] if failed else [],
                attributes={"region": "north" if failed else "south",
                            "task.executor.id": worker if failed else "steady"},
            )
        )  # fmt: skip
    return spans


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ten runs of `load` that recovered on a steadier worker, one of `stuck` that never did."""
    spans = [
        span
        for run in range(10)
        for span in spans_of("load", f"r{run}", 100 * run, "shaky", "connection reset", "ok")
    ]
    spans += spans_of("stuck", "s1", 2000, "shaky", "no such host", "no such host")
    said = {"task.backfilled": True, "task.retrieval.count": 3, "task.io.files_written": 2}
    spans.append(make_span(task="etl/nightly", run="e", start_ns=BASE_NS, attributes=said))
    data = make_folder(
        tmp_path_factory.mktemp("mcp"), [make_batch(spans, context=make_context(instance="w"))]
    )
    views = Views(data)
    with closing(views.queries):
        yield views


@pytest.fixture(autouse=True)
def count_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine counts to the end, too."""
    monkeypatch.setattr(listing, "COUNT_S", 60.0)


def test_a_list_says_how_many_there_are_and_goes_on(source: Views) -> None:
    """An execution has the fields of the contract; pages by cursor give each execution once."""
    seen: list[str] = []
    cursor = None
    while True:
        page = answer("tasks_list", {"task_id": "load", "limit": 7, "cursor": cursor}, source)
        assert page["total"] == 20
        assert all(set(execution) >= CONTRACT for execution in page["executions"])
        seen += [execution["id"] for execution in page["executions"]]
        cursor = page["cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
        assert cursor in page["more"]
    assert len(seen) == len(set(seen)) == 20


def test_a_list_takes_each_filter(source: Views) -> None:
    """Status, time and import are filters; what is imported shows what it read and wrote."""
    failed = answer("tasks_list", {"task_id": "load", "status": "failed"}, source)
    assert failed["total"] == 10
    assert failed["executions"][0]["error"]["message"] == "connection reset"
    assert answer("tasks_list", {"since": "2026-05-28T20:59:00Z"}, source)["total"] == 2
    assert answer("tasks_list", {"since": "5200w"}, source)["total"] == 23
    (execution,) = answer("tasks_list", {"backfilled": True}, source)["executions"]
    assert execution["retrieval"] == {"count": 3, "sources": []}
    assert execution["io"] == {"files_written": 2}
    assert execution["backfilled"] is True


def test_a_list_since_an_age_goes_on(source: Views) -> None:
    """The same arguments with the cursor go on, however the age's moment moved meanwhile."""
    asked = {"task_id": "load", "since": "5200w", "limit": 7}
    first = answer("tasks_list", asked, source)
    second = answer("tasks_list", {**asked, "cursor": first["cursor"]}, source)
    ids = [each["id"] for page in (first, second) for each in page["executions"]]
    assert len(set(ids)) == 14


def test_a_trace_is_told_in_order(source: Views) -> None:
    """By any trace of a run: its tries in order, the retries and the end; by parts, too."""
    first = answer("tasks_list", {"task_id": "load", "limit": 1}, source)["executions"][0]
    told = answer("tasks_by_trace", {"trace_id": first["trace_id"]}, source)
    assert [execution["attempt"] for execution in told["executions"]] == [1, 2]
    assert (told["retry_count"], told["final_status"]) == (1, "completed")
    rest = answer("tasks_by_trace", {"trace_id": first["trace_id"], "cursor": "1"}, source)
    assert [execution["attempt"] for execution in rest["executions"]] == [2]
    with pytest.raises(BadInput, match="cursor"):
        answer("tasks_by_trace", {"trace_id": first["trace_id"], "cursor": "x"}, source)


def test_an_id_with_a_slash_is_one_over_http_too(tmp_path: Path) -> None:
    """As base64 writes a trace id; the service hears of one part of the path."""
    span = make_span(task="load", trace_id=b"\xff" * 16)
    data = make_folder(tmp_path, [make_batch([span])])
    with serving(data) as client:
        source = RemoteSource(str(client.base_url), token=None, tenant=None)
        told = answer("tasks_by_trace", {"trace_id": "/////////////////////w=="}, source)
        assert (told["trace_id"], told["total"]) == ("ff" * 16, 1)
        with pytest.raises(NotFound, match="no error pattern"):
            answer("error_pattern", {"fingerprint": "../tasks"}, source)
        source.close()


def test_last_failures_name_their_errors(source: Views) -> None:
    """Newest first, with the patterns they belong to; unique: one failure for each."""
    told = answer("tasks_last_failed", {"limit": 3}, source)
    assert [failure["task_id"] for failure in told["failures"]] == ["stuck", "stuck", "load"]
    counts = {p["message"]: p["count"] for p in told["error_patterns"]}
    assert counts == {"no such host": 2, "connection reset": 10}
    assert told["error_patterns"][0]["example"] == told["failures"][0]["id"]
    assert {"stack_hash", "first_seen", "last_seen"} <= set(told["error_patterns"][0])
    unique = answer("tasks_last_failed", {"unique_errors": True}, source)
    assert [failure["task_id"] for failure in unique["failures"]] == ["stuck", "load"]
    of_task = answer("tasks_last_failed", {"unique_errors": True, "task_id": "load"}, source)
    assert [failure["task_id"] for failure in of_task["failures"]] == ["load"]
    assert answer("tasks_last_failed", {"task_id": "etl/nightly"}, source)["failures"] == []


def test_an_error_is_told_as_a_whole(source: Views) -> None:
    """How often, how often runs recovered with an interval, and its newest occurrences."""
    error = answer("tasks_last_failed", {"task_id": "load"}, source)["error_patterns"][0]
    told = answer("error_pattern", {"fingerprint": error["fingerprint"], "limit": 2}, source)
    assert told["recovery"] == {"recovered": 10, "of": 10, "rate": 1.0, "interval_95": [0.7225, 1]}
    assert [occurrence["recovered"] for occurrence in told["occurrences"]] == [True, True]
    assert told["more"]


def test_a_failure_that_passes_is_to_be_tried_again(source: Views) -> None:
    """What recovered it is told from the runs that did, and where it runs better, beyond chance."""
    told = answer("explain_failure", {"task_id": "load", "run_id": "r3"}, source)
    assert told["failure"]["attempt"] == 1
    assert told["known"] is True
    assert {each["wait_s"] for each in told["recovered_by"]} == {9.0}
    assert not any(each["same_executor"] for each in told["recovered_by"])
    advice = " ".join(told["try"])
    assert "a later attempt of the same run completed" in advice
    assert "10 of 10 occurrences" in advice
    assert "Use executor steady" in advice


def test_a_failure_that_never_passed_says_so(source: Views) -> None:
    """The newest failure of all is the one that nothing recovered."""
    told = answer("explain_failure", {}, source)
    assert told["failure"]["task_id"] == "stuck"
    assert told["recovery"]["recovered"] == 0
    assert any("none of 2 occurrences recovered" in advice for advice in told["try"])
    again = answer("explain_failure", {"fingerprint": told["pattern"]["fingerprint"]}, source)
    assert again["failure"]["id"] == told["failure"]["id"]
    assert answer("explain_failure", {"task_id": "etl/nightly"}, source)["failure"] is None


def test_executors_are_ranked_by_what_is_sure(source: Views) -> None:
    """The steady one, 10 of 10, is above the shaky one, 0 of 10, and that is no chance."""
    told = answer("recommend_executor", {"task_id": "load"}, source)
    assert [each["executor"] for each in told["executors"]] == ["steady", "shaky"]
    assert (told["recommended"], told["sure"]) == ("steady", True)
    assert told["executors"][0]["interval_95"] == [0.7225, 1]
    alone = answer("recommend_executor", {"task_id": "stuck"}, source)
    assert (alone["recommended"], alone["sure"]) == ("shaky", False)


def test_figures_have_counts_and_intervals(source: Views) -> None:
    """A task's runs and tries, its trend and errors; without a task a line for each."""
    told = answer("task_stats", {"task_id": "load"}, source)
    assert told["figures"]["recovered_runs"] == 10
    assert told["figures"]["attempt_interval_95"] == [0.2993, 0.7007]
    assert sum(step["attempts"] for step in told["trend"]) == 20
    assert told["error_patterns"][0]["count"] == 10
    assert answer("task_stats", {"task_id": "etl/nightly"}, source)["status"] == "completed"
    tasks = answer("task_stats", {}, source)["tasks"]
    assert [task["task_id"] for task in tasks] == ["stuck", "load", "etl/nightly"]


def test_two_tries_are_compared(source: Views) -> None:
    """What differs, attributes of the spans as well; by default the last and the failed before."""
    told = answer("compare_attempts", {"task_id": "load", "run_id": "r0"}, source)
    assert told["differences"]["status"] == ["failed", "completed"]
    assert told["differences"]["executor"] == ["shaky", "steady"]
    assert told["attributes"]["region"] == ["north", "south"]
    assert (told["wait_s"], told["same_error"]) == (9.0, None)
    stuck = answer("compare_attempts", {"task_id": "stuck"}, source)
    assert stuck["same_error"] is True
    turned = answer("compare_attempts", {"task_id": "stuck", "first": 2, "second": 1}, source)
    assert (turned["first"]["attempt"], turned["second"]["attempt"]) == (2, 1)
    last = answer("compare_attempts", {"task_id": "stuck", "first": 2}, source)
    assert (last["first"]["attempt"], last["second"]["attempt"]) == (2, 1)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("tasks_list", {"limit": 101, "state": "x"}, ["limit", "<= 100", "state", "known here"]),
        ("tasks_list", {"status": "broken"}, ["status", "timed_out"]),
        ("tasks_list", {"since": "yesterday"}, ["since: ", "yesterday", "15m"]),
        ("tasks_list", {"task_id": "loaf"}, ["loaf", "'load'"]),
        ("tasks_last_failed", {"task_id": "loaf"}, ["loaf", "'load'"]),
        ("task_stats", {"task_id": "loaf"}, ["loaf", "'load'"]),
        ("recommend_executor", {"task_id": "lo"}, ["'load'"]),
        ("explain_failure", {"task_id": "zzz"}, ["zzz"]),
        ("explain_failure", {"run_id": "r1"}, ["task_id"]),
        ("explain_failure", {"task_id": "load", "run_id": "r1", "attempt": 2}, ["2 completed"]),
        ("compare_attempts", {"task_id": "load", "first": 9}, ["9", "1 to 2"]),
        ("compare_attempts", {"task_id": "etl/nightly"}, ["one attempt"]),
        ("compare_attempts", {"task_id": "load", "run_id": "none"}, ["no run"]),
        ("tasks_by_trace", {"trace_id": "f" * 32}, ["no trace"]),
        ("error_pattern", {"fingerprint": "f" * 32}, ["no error pattern"]),
        ("error_pattern", {}, ["fingerprint"]),
        ("error_pattern", {"fingerprint": "%s/occurrences" % ("f" * 32)}, ["no error pattern"]),
        ("explain_failure", {"fingerprint": "../tasks"}, ["no error pattern"]),
        ("tasks_by_trace", {"trace_id": "../tasks/load"}, ["trace id"]),
        ("drop_tables", {}, ["drop_tables", "tasks_list"]),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_was_wrong(
    tool: str, arguments: dict[str, Any], told: list[str], source: Views
) -> None:
    """A wrong call names each fault, and what would be right."""
    with pytest.raises(Rejected) as refused:
        answer(tool, arguments, source)
    assert all(word in str(refused.value) for word in told), str(refused.value)


def test_many_large_failures_fit(tmp_path: Path) -> None:
    """A hundred failures with messages of 60 KB fit, and the pages give each of them."""
    spans = [
        make_span(
            task="t" * 2000, run=f"r{number}", status_code=2,
            start_ns=BASE_NS + number * SECOND_NS,
            events=[make_exception("E", f"{number} " + "m" * 60_000)],
        )
        for number in range(100)
    ]  # fmt: skip
    source = Views(make_folder(tmp_path, [make_batch([span]) for span in spans]))
    seen: set[str] = set()
    cursor: str | None = None
    with closing(source.queries):
        while True:
            page = answer("tasks_list", {"limit": 100, "cursor": cursor}, source)
            assert len(msgspec.json.encode(page)) <= MOST_BYTES
            seen |= {execution["id"] for execution in page["executions"]}
            cursor = page["cursor"]
            if cursor is None:
                break
            assert page["truncated"]
    assert len(seen) == 100


def test_an_id_is_told_whole_or_not_at_all(tmp_path: Path) -> None:
    """However little fits: a part of an id names nothing, and the next call would find nothing."""
    task, run = "t" * 700, "r" * 30_000
    span = make_span(
        task=task, run=run, status_code=2, events=[make_exception("E" * 500, "m" * 5_000)],
        attributes={f"{number}" * 300: "v" * 500 for number in range(9)},
    )  # fmt: skip
    source = Views(make_folder(tmp_path, [make_batch([span])]))
    trace_id = span.trace_id.hex()
    with closing(source.queries):
        for most_bytes in (48 << 10, 32 << 10, 2048, 800):
            for tool, asked in {
                "tasks_list": {}, "tasks_last_failed": {}, "explain_failure": {"task_id": task},
                "tasks_by_trace": {"trace_id": trace_id}, "task_stats": {"task_id": task},
                "recommend_executor": {"task_id": task},
            }.items():  # fmt: skip
                told = answer(tool, asked, source, most_bytes)
                assert len(msgspec.json.encode(told)) <= most_bytes, (tool, most_bytes)
                for name, value in named(told):
                    whole = {"task_id": task, "run_id": run, "task_ids": task}.get(name, value)
                    assert value in (None, whole), (tool, most_bytes, name)
                    assert value is None or not value.endswith("…")


def named(value: Any, name: str = "") -> Iterator[tuple[str, str | None]]:
    """What in an answer names something, and as what."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from named(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from named(each, name)
    elif name.endswith(("id", "ids", "fingerprint", "example", "_at")):
        yield name, value


def test_an_empty_log_teaches(tmp_path: Path) -> None:
    """Where nothing has come in, every tool says so instead of failing."""
    source = Views(make_folder(tmp_path, []))
    with closing(source.queries):
        assert answer("tasks_list", {}, source)["total"] == 0
        assert answer("tasks_last_failed", {}, source)["failures"] == []
        assert answer("task_stats", {}, source)["tasks"] == []
        assert answer("explain_failure", {}, source)["failure"] is None
        with pytest.raises(NotFound, match="no task"):
            answer("recommend_executor", {"task_id": "a"}, source)


def test_a_call_ends(source: Views) -> None:
    """Once its time is over, a call asks nothing more."""
    with pytest.raises(TookTooLong):
        answer("tasks_list", {}, Timed(source, -1.0))

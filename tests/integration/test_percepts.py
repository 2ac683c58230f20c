"""Percepts: from the log to the page and the stream."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from events.abandonment import Abandonment, fact_of
from events.log.door import GroupDoor
from projections.runs.words import attempt_id
from service.api.feed import Feed
from service.control.projector import build_projector
from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_log, make_span
from tests.views import make_folder

PAGE = "/api/v1/percepts/page"
STREAM = "/api/v1/percepts"


def ended(task: str, number: int, *, failed: bool = False, seconds: int = 1, **more: Any) -> Any:
    """A batch of one run with one attempt, a minute after the run before."""
    start_ns = BASE_NS + number * 60 * SECOND_NS
    events = [make_exception(message="disk full")] if failed else []
    span = make_span(
        task=task, run=f"r{number}", attempt=1, status_code=2 if failed else 1, start_ns=start_ns,
        end_ns=start_ns + seconds * SECOND_NS, events=events, **more,
    )  # fmt: skip
    return make_batch([span])


def fold(data: Path, *batches: Any) -> None:
    """Append to a log, and bring its views to the end."""
    make_folder(data, batches)


def frames(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The percepts of a stream."""
    message: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            message[name] = value
        elif message.get("event") == "percept":
            yield {"id": message["id"], **json.loads(message["data"])}
            message = {}


def all_pages(client: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    """The percepts of all pages."""
    found: list[dict[str, Any]] = []
    while True:
        page = client.get(PAGE, params=asked).json()
        found += page["items"]
        asked["after"] = page["position"]
        if page["complete"]:
            return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve runs as ever, a slow one, and one that failed as nothing did before."""
    folder = tmp_path_factory.mktemp("percepts")
    usual = [ended("report", number) for number in range(12)]
    fold(
        folder, *usual, ended("report", 12, seconds=40), ended("report", 13, failed=True),
        ended("report", 14, failed=True),
    )  # fmt: skip
    return folder


def test_runs_are_told_in_order_with_their_reasons(data: Path) -> None:
    """What is as ever has no reason; pages of any size tell the same, and so does asking again."""
    with serving(data) as client:
        found = all_pages(client)
        assert [item["run"]["run_id"] for item in found] == [f"r{n}" for n in range(15)]
        told = [[reason["kind"] for reason in item["reasons"]] for item in found]
        assert told == [
            ["first_run"], *[[]] * 11, ["unusual_duration"], ["new_pattern", "first_failure"], [],
        ]  # fmt: skip
        assert [item["novelty"] for item in found[1:12]] == [0] * 11
        assert found[13]["novelty"] > found[12]["novelty"] > 0.5
        assert found[13]["run"]["error"]["message"] == "disk full"
        assert all_pages(client, limit=2) == found
        new = all_pages(client, min_novelty=0.5, limit=1)
        assert [item["run"]["run_id"] for item in new] == ["r12", "r13"]
        assert all_pages(client, task="other") == []
        assert all_pages(client, after=found[-1]["position"]) == []


def test_a_run_is_told_by_its_last_event(tmp_path: Path) -> None:
    """Not while it runs, nor by spans of others in its trace; again, once a try is added."""
    trace = bytes(15) + b"\x07"
    start_ns = BASE_NS + 60 * SECOND_NS
    first = ended("load", 1, failed=True, trace_id=trace)
    inner = make_batch([make_span(task=None, trace_id=trace, start_ns=start_ns)])
    begun = make_batch([make_log(event_name="task.attempt.started", task="load", run="open")])
    fold(tmp_path, first, inner, begun)
    with serving(tmp_path) as client:
        (told,) = all_pages(client)
        assert (told["position"], told["run"]["status"]) == ("1", "failed")
    again = make_span(
        task="load", run="r1", attempt=2, status_code=1, start_ns=start_ns + 5 * SECOND_NS
    )
    fold(tmp_path, make_batch([again]))
    with serving(tmp_path) as client:
        (told,) = all_pages(client)
        assert (told["position"], told["run"]["status"]) == ("4", "completed")
        assert told["run"]["recovered"] is True


def test_an_abandoned_run_is_told_by_that_fact(tmp_path: Path) -> None:
    """The fact that its worker is gone is what ends it."""
    begun = make_log(
        event_name="task.attempt.started", task="load", run="r", attempt=1, time_ns=BASE_NS
    )
    lost = Abandonment(
        attempt_id=attempt_id("default", "load", "r", 1), task_id="load", run_id="r", number=1,
        trace_id=begun.trace_id, span_id=begun.span_id, time_ns=BASE_NS + 90 * SECOND_NS,
        last_heartbeat_ns=BASE_NS, last_heartbeat_id=bytes(16), signs=1,
    )  # fmt: skip
    fold(tmp_path, make_batch([begun]), make_batch([fact_of(lost, "watcher")]))
    with serving(tmp_path) as client:
        (told,) = all_pages(client)
        assert (told["position"], told["run"]["status"]) == ("2", "abandoned")


def test_tenants_do_not_meet(tmp_path: Path) -> None:
    """A tenant hears of its own runs."""
    fold(tmp_path, make_batch([make_span(task="theirs", status_code=1)], tenant="b"), ended("a", 1))
    with serving(tmp_path) as client:
        assert [item["run"]["task_id"] for item in all_pages(client)] == ["a"]
        theirs = client.get(PAGE, headers={"x-scope-orgid": "b"}).json()["items"]
        assert [item["run"]["task_id"] for item in theirs] == ["theirs"]


def test_the_stream_goes_on_where_a_client_was(data: Path) -> None:
    """It tells what the pages tell, from a position or the last id, with the filters."""
    with serving(data) as client:
        expected = all_pages(client)
        with client.stream("GET", f"{STREAM}?after=0") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            told = frames(answer.iter_lines())
            first = [next(told) for _ in range(5)]
        assert [item["id"] for item in first] == [item["position"] for item in expected[:5]]
        headers = {"last-event-id": first[-1]["id"]}
        with client.stream("GET", f"{STREAM}?min_novelty=0.5", headers=headers) as answer:
            told = frames(answer.iter_lines())
            rest = [next(told) for _ in range(2)]
        assert [item["run"]["run_id"] for item in rest] == ["r12", "r13"]
        beyond = client.get(STREAM, params={"after": 10**6})
        assert beyond.status_code == 400
        assert client.get(STREAM, params={"min_novelty": 2}).status_code == 400


def test_a_stream_begins_while_the_log_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The views may see more than the head that was looked up a moment before."""
    fold(tmp_path, ended("report", 0))
    look, grown = Feed.head, threading.Event()

    async def head(feed: Feed) -> int:
        found = await look(feed)
        if not grown.is_set():
            grown.set()
            await anyio.to_thread.run_sync(fold, tmp_path, ended("report", 1))
        return found

    monkeypatch.setattr(Feed, "head", head)
    with serving(tmp_path) as client, client.stream("GET", STREAM) as answer:
        assert answer.status_code == 200
        assert next(frames(answer.iter_lines()))["run"]["run_id"] == "r1"


def test_what_ends_now_is_told_now(tmp_path: Path) -> None:
    """A stream without a position begins now; it hears of a run once the views know it."""
    fold(tmp_path, ended("report", 0))
    with (
        serving(tmp_path) as client,
        client.stream("GET", f"{STREAM}?heartbeat_s=0.2") as answer,
    ):
        lines = answer.iter_lines()
        for line in lines:
            if line.startswith(": heartbeat"):
                break
        door = GroupDoor(tmp_path)
        door.append(ended("report", 1))
        door.close()
        later = threading.Thread(target=_project, args=(tmp_path,))
        later.start()
        (told,) = (next(frames(lines)),)
        later.join()
    assert told["run"]["run_id"] == "r1"


def _project(data: Path) -> None:
    projector = build_projector(data, rollback_s=3600.0)
    projector.open()
    while projector.step():
        pass
    projector.close()

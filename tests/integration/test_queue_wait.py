"""How long attempts waited in their queue: on the attempt, and in the figures of its task."""

from pathlib import Path
from typing import Any

import pytest

from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_span, span_id, trace_id
from tests.views import make_folder

WAITS_S = (90, 600, -2)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service over runs that waited in a queue, one of them by a clock that is behind."""
    events = []
    for number, wait_s in enumerate(WAITS_S, 1):
        queued = make_span(
            task="pay", run=f"r{number}", kind=4, trace_id=trace_id(number), span_id=span_id(1),
            start_ns=BASE_NS, end_ns=BASE_NS + 1,
        )  # fmt: skip
        tried = make_span(
            task="pay", run=f"r{number}", attempt=1, trace_id=trace_id(number),
            span_id=span_id(2), parent_span_id=span_id(1), start_ns=BASE_NS + wait_s * SECOND_NS,
        )  # fmt: skip
        events += [tried, queued]
    events.append(make_span(task="mail", run="s"))
    folder: Path = tmp_path_factory.mktemp("wait") / "data"
    # The attempts come before and after what queued them, and in one page with it.
    batches = [make_batch(events[:1]), make_batch(events[1:])]
    with serving(make_folder(folder, batches)) as client:
        yield client


def test_an_attempt_says_how_long_it_waited(client: Any) -> None:
    """As the clocks say, negative where they differ; nothing where it was not queued."""
    items = client.get("/api/v1/attempts").json()["items"]
    assert {(one["run_id"], one["queue_wait_s"]) for one in items} == {
        ("r1", 90.0), ("r2", 600.0), ("r3", -2.0), ("s", None),
    }  # fmt: skip


@pytest.mark.parametrize("asked", [{}, {"bucket": "day"}, {"by": "executor"}])
def test_waits_are_figures_of_the_task(client: Any, asked: dict[str, str]) -> None:
    """Minutes are told as well as seconds; a negative wait is in none of them."""
    answer = client.get("/api/v1/metrics/tasks", params={"task": "pay", **asked}).json()
    for line in answer["items"]:
        waits = line["queue_wait_s"]
        assert waits["avg"] == pytest.approx(345)
        assert waits["min"] == pytest.approx(90, rel=0.02)
        assert waits["p99"] == pytest.approx(600, rel=0.02)
        assert line["executions"] == 3


def test_a_task_that_never_waited_has_no_figures_of_it(client: Any) -> None:
    """Nothing is known, which is not zero."""
    (line,) = client.get("/api/v1/metrics/tasks?task=mail&by=task").json()["items"]
    assert set(line["queue_wait_s"].values()) == {None}

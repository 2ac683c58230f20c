"""The overview's figures, counted from indexes when asked for."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from events import names
from events.log.port import Batch
from tests.api_service import serving
from tests.events import SECOND_NS, make_batch, make_log, make_span
from tests.views import make_folder


def make_world(now_ns: int) -> list[Batch]:
    """A run recovers, one fails for good, one is long over, one runs, one waits."""
    ago = {minutes: now_ns - minutes * 60 * SECOND_NS for minutes in (2, 5, 8, 30, 600)}
    spans = [
        make_span(task="a", run="r", attempt=1, status_code=2, start_ns=ago[8]),
        make_span(
            task="a", run="r", attempt=2, start_ns=ago[5], end_ns=ago[5] + 4 * SECOND_NS,
            attributes={names.TASK_QUEUED_AT: ago[5] - 3 * SECOND_NS},
        ),
        make_span(task="b", run="r", status_code=2, start_ns=ago[30]),
        make_span(task="c", run="r", start_ns=ago[600]),
        make_log(
            event_name=names.ATTEMPT_STARTED, task="d", run="r", attempt=1, time_ns=ago[2],
            observed_ns=ago[2],
        ),
    ]  # fmt: skip
    return [make_batch(spans, received_ns=now_ns)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the API on that world."""
    data = make_folder(tmp_path_factory.mktemp("overview"), make_world(time.time_ns()))
    with serving(data) as client:
        yield client


def ask(client: httpx.Client, window: str) -> Any:
    """The overview of a window."""
    answer = client.get("/api/v1/overview", params={"window": window})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_hour_counts_what_ended_in_it(client: httpx.Client) -> None:
    """Tries by how they ended, runs by what became of them, and what runs now."""
    found = ask(client, "1h")
    assert (found["ended"]["completed"], found["ended"]["failed"]) == (1, 2)
    assert found["success_rate"] == pytest.approx(1 / 3)
    runs = (found["runs_completed"], found["runs_recovered"], found["runs_failed"])
    assert runs == (1, 1, 1)
    assert (found["running"], found["retrying"], found["queued"]) == (1, 0, 0)
    assert found["at_least"] == []


def test_durations_and_waits_are_of_the_window(client: httpx.Client) -> None:
    """The one completed try took four seconds and waited for three."""
    found = ask(client, "1h")
    assert found["duration_s"] == {"p50": 4.0, "p95": 4.0, "p99": 4.0, "sample": 1}
    assert found["queue_wait_s"]["p95"] == 3.0
    assert ask(client, "1d")["duration_s"]["sample"] == 2


def test_buckets_are_sixty_and_add_up(client: httpx.Client) -> None:
    """The columns of the chart hold every try of the window once."""
    found = ask(client, "1d")
    assert len(found["buckets"]) == 60
    assert sum(bucket["completed"] for bucket in found["buckets"]) == 2
    assert sum(bucket["failed"] for bucket in found["buckets"]) == 2
    starts = [bucket["start_ns"] for bucket in found["buckets"]]
    steps = {later - start for start, later in itertools.pairwise(starts)}
    assert steps == {86_400 * SECOND_NS // 60}


def test_another_window_is_refused(client: httpx.Client) -> None:
    """The words that there are, are named."""
    answer = client.get("/api/v1/overview", params={"window": "2h"})
    assert answer.status_code == 400
    assert "15m, 1h, 6h, 1d, 7d" in answer.text


def test_the_page_says_the_same(client: httpx.Client) -> None:
    """Each figure of the start page is the endpoint's, and a link."""
    page = client.get("/").text
    for name, text in (("running", "1"), ("failed", "1"), ("recovered", "1"), ("p95", "4.00 s")):
        assert f'data-figure="{name}">{text}<' in page
    assert 'href="./runs?status=failed&amp;since=1h"' in page

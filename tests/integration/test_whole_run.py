"""A run whose tries have traces of their own is answered whole, by any of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_span, span_id, trace_id
from tests.views import make_folder

TRIES = [trace_id(number) for number in (31, 32, 33)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service over a run of three tries, and another run in the last one's trace."""
    spans = [
        make_span(
            task="pay", run="r", attempt=number, trace_id=trace, span_id=span_id(number),
            start_ns=BASE_NS + number * SECOND_NS, status_code=0 if number == 3 else 2,
        )
        for number, trace in enumerate(TRIES, 1)
    ]  # fmt: skip
    below = make_span(task=None, name="SELECT", trace_id=TRIES[1], parent_span_id=span_id(2))
    other = make_span(task="mail", run="s", trace_id=TRIES[2], start_ns=BASE_NS + 9 * SECOND_NS)
    folder: Path = tmp_path_factory.mktemp("whole") / "data"
    data = make_folder(folder, [make_batch([*spans, below, other])])
    with serving(data) as client:
        yield client


@pytest.mark.parametrize("trace", TRIES[:2])
def test_any_trace_shows_the_whole_run(client: Any, trace: bytes) -> None:
    """Its attempts in order, and the spans of all its traces."""
    found = client.get(f"/api/v1/traces/{trace.hex()}").json()
    assert found["trace_id"] == trace.hex()
    assert found["trace_ids"] == [one.hex() for one in TRIES]
    assert [one["attempt"] for one in found["attempts"]] == [1, 2, 3]
    assert (found["retry_count"], found["final_status"]) == (2, "completed")
    assert (found["total"], len(found["spans"])) == (5, 5)


def test_a_trace_of_several_runs_shows_them_all(client: Any) -> None:
    """The run that is only in this trace, and the one that began elsewhere."""
    found = client.get(f"/api/v1/traces/{TRIES[2].hex()}").json()
    assert [one["task_id"] for one in found["attempts"]] == ["pay", "pay", "pay", "mail"]


def test_a_run_says_its_stable_trace(client: Any) -> None:
    """That of its first attempt."""
    (run,) = client.get("/api/v1/tasks/pay/runs").json()["items"]
    assert (run["trace_id"], run["trace_ids"]) == (TRIES[0].hex(), [one.hex() for one in TRIES])

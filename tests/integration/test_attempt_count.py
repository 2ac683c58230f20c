"""How many attempts there are: the count and the list tell the same."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from projections.query import listing
from tests.api_service import pages, serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_span
from tests.views import make_folder

FILTERS: tuple[dict[str, Any], ...] = (
    {}, {"task": "a"}, {"status": "failed"}, {"task": "a", "status": "failed"},
    {"since": "2026-05-28T20:26:50Z"}, {"task": "b", "until": "2026-05-28T20:26:45Z"},
    {"component": "shop"}, {"component": "other"}, {"backfilled": "true"}, {"q": "a"},
    {"task": "nobody"}, {"executor": "worker-1"}, {"task": "a", "run": "r2"},
)  # fmt: skip


def folder(path: Path) -> Path:
    """Two tasks of ten runs with two attempts each, the first of which failed."""
    spans = [
        make_span(
            task=task, run=f"r{run}", attempt=attempt, status_code=2 if attempt == 1 else 1,
            start_ns=BASE_NS + (2 * run + attempt) * SECOND_NS,
            attributes={"task.backfilled": True} if run == 3 else {},
        )
        for task in "ab" for run in range(10) for attempt in (1, 2)
    ]  # fmt: skip
    return make_folder(path, [make_batch(spans)])


def counted(client: httpx.Client, filters: dict[str, Any]) -> dict[str, Any]:
    """The answer of `metrics/attempts`."""
    answer = client.get("/api/v1/metrics/attempts", params=filters)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_the_count_is_that_of_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any filters, as many attempts are counted as the list's pages hold."""
    monkeypatch.setattr(listing, "COUNT_S", 60.0)
    with serving(folder(tmp_path)) as client:
        for filters in FILTERS:
            listed = pages(client, "/api/v1/attempts", limit=7, **filters)
            expected = sum(len(page["items"]) for page in listed)
            answer = counted(client, filters)
            assert (answer["count"], answer["exact"]) == (expected, True), filters
        assert counted(client, {})["count"] == 40


def test_counting_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the count says that it is not all; rows are looked up page by page."""
    monkeypatch.setattr(listing, "MOST_COUNTED", 15)
    monkeypatch.setattr(listing, "_COUNTED_AT_ONCE", 3)
    with serving(folder(tmp_path)) as client:
        assert (counted(client, {})["count"], counted(client, {})["exact"]) == (15, False)
        monkeypatch.setattr(listing, "COUNT_S", 60.0)
        assert counted(client, {"component": "shop"})["exact"]
        monkeypatch.setattr(listing, "COUNT_S", 0.0)
        first = counted(client, {"component": "shop"})
        assert first["exact"] is False
        assert 0 < first["count"] < 40


def test_a_run_needs_its_task(tmp_path: Path) -> None:
    """A run alone is refused, as by the list."""
    with serving(folder(tmp_path)) as client:
        answer = client.get("/api/v1/metrics/attempts", params={"run": "r1"})
        assert answer.status_code == 400
        assert "task" in answer.json()["detail"]

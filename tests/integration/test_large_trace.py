"""A trace too large for one answer: attempts whole, their spans first, then page by page."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from events.schema import Span
from projections.queries import Queries
from projections.views.traces import question
from projections.views.traces.question import Trace
from service.cli.main import app
from tests.api_service import serving
from tests.events import SECOND_NS, make_batch, make_log, make_span, trace_id
from tests.views import make_folder

TRACE = trace_id(1 << 40)
DETAILS = 300
TOTAL = DETAILS + 3


def detail(number: int, parent: bytes, **changes: Any) -> Span:
    """A span below an attempt that is no attempt itself."""
    start_ns = (100 + number) * SECOND_NS
    return make_span(
        task=None, trace_id=TRACE, parent_span_id=parent, name=f"row {number}",
        start_ns=start_ns, end_ns=start_ns + 1, **changes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two attempts with very many details between them, the second one last."""
    first = make_span(
        task="import", run="r", attempt=1, trace_id=TRACE, status_code=2,
        start_ns=100 * SECOND_NS, end_ns=101 * SECOND_NS,
    )  # fmt: skip
    last = make_span(
        task="import", run="r", attempt=2, trace_id=TRACE,
        start_ns=900 * SECOND_NS, end_ns=901 * SECOND_NS,
    )  # fmt: skip
    details = [detail(number, first.span_id) for number in range(DETAILS)]
    record = make_log(trace_id=TRACE, span_id=first.span_id)
    batches = [make_batch([first]), make_batch(details), make_batch([record]), make_batch([last])]
    return make_folder(tmp_path_factory.mktemp("large"), batches)


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A client of the API on `data`."""
    with serving(data) as client:
        yield client


def ask(client: httpx.Client, **parameters: Any) -> dict[str, Any]:
    """One page of the trace."""
    answer = client.get(f"/api/v1/traces/{TRACE.hex()}", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_whole_trace_says_so(client: httpx.Client) -> None:
    """All spans and log records come at once, counted, in order of start."""
    found = ask(client)
    assert (found["total"], found["next"], found["complete"]) == (TOTAL, None, True)
    assert (len(found["spans"]), len(found["logs"])) == (TOTAL - 1, 1)
    assert found["spans"] == sorted(found["spans"], key=lambda span: span["start_ns"])


@pytest.mark.parametrize("limit", [1, 2, 7, 302, 303, 304])
def test_pages_give_each_span_once(client: httpx.Client, limit: int) -> None:
    """Attempts are whole on every page, their own spans on the first, nothing comes twice."""
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": limit}
    while True:
        found = ask(client, **parameters)
        assert [a["attempt"] for a in found["attempts"]] == [1, 2]
        assert (found["final_status"], found["retry_count"]) == ("completed", 1)
        assert found["total"] == TOTAL
        told = [event["position"] for event in (*found["spans"], *found["logs"])]
        assert len(told) <= limit
        seen += told
        assert found["complete"] is (found["next"] is None)
        if found["next"] is None:
            break
        parameters["cursor"] = found["next"]
    assert {"1", str(TOTAL)} <= set(seen[: max(limit, 2)])
    assert len(seen) == len(set(seen)) == TOTAL


def test_a_cursor_goes_on_in_any_spelling_of_the_id(client: httpx.Client) -> None:
    """What is asked is the trace, not its text."""
    cursor = ask(client, limit=5)["next"]
    other = str(uuid.UUID(TRACE.hex())).upper()
    answer = client.get(f"/api/v1/traces/{other}", params={"cursor": cursor})
    assert answer.json()["spans"] == ask(client, cursor=cursor)["spans"]


def test_a_page_reads_no_more_than_it_tells(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred of many events cost reading about a hundred."""
    read: list[int] = []
    queries = Queries(data)
    with queries.log.read() as reader:
        kind: Any = type(reader)
    fetch = kind.fetch

    def counted(self: Any, partition: int, positions: list[int]) -> Any:
        read.append(len(positions))
        return fetch(self, partition, positions)

    monkeypatch.setattr(kind, "fetch", counted)
    queries.answer(f"traces/{TRACE.hex()}", {"limit": 100})
    queries.close()
    assert sum(read) == 100


def test_a_page_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large spans make a page short, never empty."""
    monkeypatch.setattr(question, "PAGE_BYTES", 64 << 10)
    spans = [detail(n, b"", attributes={"prompt": "x" * 20_000}) for n in range(40)]
    queries = Queries(make_folder(tmp_path, [make_batch(spans)]))
    seen, cursor = 0, None
    while True:
        found = queries.answer(f"traces/{TRACE.hex()}", {"cursor": cursor} if cursor else {})
        assert isinstance(found, Trace)
        assert 1 <= len(found.spans) <= 8
        seen, cursor = seen + len(found.spans), found.next
        if cursor is None:
            break
    queries.close()
    assert seen == 40


def test_the_command_turns_pages(data: Path) -> None:
    """It says how much there is and how to go on; --all takes every page."""

    def run(*options: str) -> str:
        done = CliRunner().invoke(app, ["trace", TRACE.hex(), "--data", str(data), *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert f"10 of {TOTAL} spans and log records" in run("--limit", "10")
    whole = json.loads(run("--limit", "10", "--all", "--json"))
    assert (len(whole["spans"]), len(whole["logs"])) == (TOTAL - 1, 1)
    page = json.loads(run("--limit", "10", "--json"))
    rest = json.loads(run("--cursor", page["next"], "--json"))
    assert len(page["spans"]) + len(rest["spans"]) + len(rest["logs"]) == TOTAL

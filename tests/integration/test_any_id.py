"""Whatever a sender may name a task, a run or an executor is found by it: path, query, command."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from typer.testing import CliRunner

from events import names
from projections.views.runs import question
from service.cli.main import app
from tests.api_service import serving
from tests.events import make_batch, make_exception, make_span, trace_id
from tests.unit.test_ids import trace_spellings
from tests.views import make_folder

IDS = [
    "a/b", "/", "//", "/a/", "a/runs", "runs", ".", "..", "../..", "a/../b",
    "%", "%2F", "100%", "%zz", "%00", " ", "  a  ", "a b", "a+b", "+", "a,b", ",", "a;b", "a&b=c",
    "?", "#x", "=", "'", '"', "`", "\\", "*", "**", "<b>", "${x}", "task:{id}",
    "-x", "--help", "--", "-", "null", "NULL", "None", "none", "true", "0", "-1", "1e3", "NaN",
    "{}", "[]", "\x00", "a\x00b", "\n", "a\r\nb", "\t", "\x7f", "\u00a0", "\u200b", "\u202e",
    "\ufeff", "ü", "u\u0308", "東京", "🚫", "x" * 20_000,
]  # fmt: skip
RUN_TRACE = trace_id(77)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One attempt for each id, which is its task's, run's, executor's, model's and sender's."""
    spans = [
        make_span(
            task=id_, run=id_, attempt=1, trace_id=trace_id(1000 + number),
            attributes={names.TASK_EXECUTOR_ID: id_, names.TASK_EXECUTOR_MODEL: id_},
        )
        for number, id_ in enumerate(IDS)
    ]  # fmt: skip
    nameless = make_span(
        task="nameless", run=None, trace_id=RUN_TRACE, status_code=2, events=[make_exception()]
    )
    folder = tmp_path_factory.mktemp("any")
    return make_folder(folder, [make_batch(spans), make_batch([nameless])])


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A client of the API on `data`."""
    with serving(data) as client:
        yield client


def raw(client: httpx.Client, path: str) -> tuple[int, dict[str, Any]]:
    """Status and document at a path as it is written: httpx would resolve its dots."""
    url = client.base_url
    with closing(http.client.HTTPConnection(url.host, url.port or 0, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("id_", IDS, ids=lambda id_: ascii(id_[:20]))
def test_each_id_is_found_in_the_api(client: httpx.Client, id_: str) -> None:
    """As part of a path, and by each filter that takes it."""
    status, found = raw(client, f"/api/v1/tasks/{quote(id_, safe='')}")
    assert (status, found.get("task_id")) == (200, id_), found
    _, found = raw(client, f"/api/v1/tasks/{quote(id_, safe='')}/runs")
    assert [run["run_id"] for run in found["items"]] == [id_]
    for path, asked in [
        ("tasks", {"task": id_}), ("runs", {"task": id_}), ("attempts", {"task": id_}),
        ("attempts", {"task": id_, "run": id_}), ("attempts", {"executor": id_}),
        ("runs", {"executor": id_}), ("attempts", {"model": id_}), ("history", {"task": id_}),
        ("metrics/tasks", {"task": id_, "by": "task"}),
    ]:  # fmt: skip
        answer = client.get(f"/api/v1/{path}", params=asked)
        assert answer.status_code == 200, (path, asked, answer.text[:300])
        assert [item["task_id"] for item in answer.json()["items"]][:1] == [id_], (path, asked)


@pytest.mark.parametrize(
    "id_", [i for i in IDS if "\x00" not in i], ids=lambda id_: ascii(id_[:20])
)
def test_each_id_is_found_by_the_commands(data: Path, id_: str) -> None:
    """As the value of an option; the system lets no NUL into an argument."""
    for options in (["attempts", "--task", id_], ["attempts", "--q", id_, "-n", "1000"]):
        done = CliRunner().invoke(app, [*options, "--data", str(data), "--json"])
        assert done.exit_code == 0, done.output[:300]
        assert id_ in [item["task_id"] for item in json.loads(done.stdout)["items"]], options


@pytest.mark.parametrize("text", trace_spellings(RUN_TRACE))
def test_a_run_that_is_its_trace_is_found_in_each_spelling(client: httpx.Client, text: str) -> None:
    """A sender that names no run gets the trace as run."""
    asked = {"task": "nameless", "run": text}
    (item,) = client.get("/api/v1/attempts", params=asked).json()["items"]
    assert item["run_id"] == RUN_TRACE.hex()


@pytest.mark.parametrize("text", trace_spellings(RUN_TRACE))
def test_a_trace_is_found_in_each_spelling(client: httpx.Client, data: Path, text: str) -> None:
    """In a path, in the live tail, and by the commands."""
    _, found = raw(client, f"/api/v1/traces/{quote(text, safe='')}")
    assert found["trace_id"] == RUN_TRACE.hex()
    for options in (["trace", text], ["log", "read", "--trace", text]):
        done = CliRunner().invoke(app, [*options, "--data", str(data), "--json"])
        assert (done.exit_code, RUN_TRACE.hex() in done.stdout) == (0, True), done.output


def test_a_fingerprint_is_found_in_each_spelling(client: httpx.Client) -> None:
    """In a path and as a prefix."""
    (pattern,) = client.get("/api/v1/errors").json()["items"]
    digits = pattern["fingerprint"]
    dashed = "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
    for text in (digits, digits.upper(), dashed, dashed.upper(), f"0x{digits}", digits.lstrip("0")):
        assert client.get(f"/api/v1/errors/{text}").json()["fingerprint"] == digits
        failures = client.get(f"/api/v1/errors/{text}/occurrences").json()["items"]
        assert [failure["task_id"] for failure in failures] == ["nameless"]
    for prefix in (digits[:6].upper(), dashed[:11], pattern["type"][:4]):
        assert len(client.get("/api/v1/errors", params={"q": prefix}).json()["items"]) == 1
    for prefix in ("-", "zz"):
        assert client.get("/api/v1/errors", params={"q": prefix}).json()["items"] == []


@pytest.mark.parametrize("tried", [0, 500])
def test_a_run_is_found_by_its_id_alone(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, tried: int
) -> None:
    """Where its task is not known, too: in each task, or among all runs where these are many."""
    monkeypatch.setattr(question, "TASKS_TRIED", tried)
    answer = client.get("/api/v1/runs", params={"run": "a b"}).json()
    assert [(item["task_id"], item["run_id"]) for item in answer["items"]] == [("a b", "a b")]
    assert answer["complete"]
    other = client.get("/api/v1/runs", params={"run": "a b", "status": "failed"}).json()
    assert other["items"] == []
    assert client.get("/api/v1/runs", params={"run": "unheard of"}).json()["items"] == []


def test_a_pattern_of_a_list_is_named_by_its_fingerprint(client: httpx.Client) -> None:
    """Alone, with what the list says of it; of one that is not there the list is empty."""
    (pattern,) = client.get("/api/v1/errors").json()["items"]
    found = client.get("/api/v1/errors", params={"pattern": pattern["fingerprint"]}).json()
    assert found["items"] == [pattern]
    assert client.get("/api/v1/errors?pattern=00").json()["items"] == []

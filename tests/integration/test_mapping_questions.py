"""Mapping rules over the API: which are in force, what they make of a trace, what none takes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from projections.mapping.rules.files import load_rules
from projections.mapping.rules.in_force import FILE
from service.cli.main import app
from service.mappings.in_force import put_in_force
from tests.api_service import serving
from tests.events import make_batch, make_context, make_span, span_id, trace_id
from tests.views import make_folder

CELERY = "opentelemetry.instrumentation.celery"
TRACE = trace_id(5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Celery task and a span that nobody knows, and the same trace id of another tenant."""
    run = make_span(
        task=None, name="run/shop.pay", kind=5, trace_id=TRACE, span_id=span_id(2),
        attributes={
            "messaging.message.id": "m1", "celery.task_name": "shop.pay", "celery.state": "FAILURE",
        },
    )  # fmt: skip
    odd = make_span(task="t", attributes={"task.result": "gone fishing"}, trace_id=trace_id(6))
    stray = make_span(task=None, name="GET /", trace_id=TRACE)
    hidden = make_span(task=None, name="GET /secret", trace_id=TRACE)
    batches = [
        make_batch([run], context=make_context(scope_name=CELERY)),
        make_batch([odd, stray]),
        make_batch([hidden], tenant="blue"),
    ]
    folder = make_folder(tmp_path_factory.mktemp("asked") / "data", batches)
    rules = folder.parent / "rules"
    rules.mkdir()
    (rules / "mine.toml").write_text(
        'version = 1\nsystem = "web"\n[[rule]]\nid = "web.get"\nrole = "ignore"\n'
        'match = { scope = "nobody" }\n'
    )
    put_in_force(folder, load_rules(rules), rules)
    return folder


@pytest.fixture(scope="module")
def client(data: Path) -> Any:
    with serving(data) as client:
        yield client


def ask(client: Any, path: str, tenant: str = "default", **parameters: Any) -> Any:
    answer = client.get(f"/api/v1/{path}", params=parameters, headers={"x-scope-orgid": tenant})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_rules_in_force_are_listed(client: Any, data: Path) -> None:
    """In order, one's own first; of files only the names, since folders are nobody's business."""
    found = ask(client, "mappings")
    assert found["items"][0] == {
        "id": "web.get", "role": "ignore", "system": "web", "version": 1, "file": "mine.toml",
    }  # fmt: skip
    assert {"celery.run", "native"} <= {item["id"] for item in found["items"]}
    assert found["applied_at"] is not None
    assert str(data.parent) not in json.dumps(found)


def test_a_trace_is_explained(client: Any) -> None:
    """The rule of each span, where fields came from, the attempts; as any tool shows the id."""
    for text in (TRACE.hex(), TRACE.hex().upper()):
        found = ask(client, f"traces/{text}/explain")
        (run,) = [span for span in found["spans"] if span["rule"] == "celery.run"]
        assert (run["task_id"], run["run_id"], run["statuses"]) == ("shop.pay", "m1", ["failed"])
        assert [item["rule"] for item in found["items"]] == ["celery.run"]
        assert [(one["name"], one["spans"]) for one in found["unmatched"]] == [("GET /", 1)]
        assert found["complete"]


def test_what_no_rule_takes_is_listed(client: Any) -> None:
    """Spans by scope and name, and words for results; of so many last events."""
    found = ask(client, "mappings/unmatched")
    assert [(item["name"], item["spans"]) for item in found["items"]] == [("GET /", 1)]
    assert found["words"] == [{"word": "gone fishing", "rule": "native", "attempts": 1}]
    assert (found["rows"], found["through"], found["complete"]) == (3, "4", True)
    assert ask(client, "mappings/unmatched", events=1)["rows"] == 0


def test_each_tenant_sees_its_own(client: Any) -> None:
    """Traces and unmatched spans of another tenant are not there."""
    found = ask(client, "mappings/unmatched", tenant="blue")
    assert [item["name"] for item in found["items"]] == ["GET /secret"]
    explained = ask(client, f"traces/{TRACE.hex()}/explain", tenant="blue")
    assert [span["name"] for span in explained["unmatched"]] == ["GET /secret"]
    answer = client.get(
        f"/api/v1/traces/{TRACE.hex()}/explain", headers={"x-scope-orgid": "nobody"}
    )
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [("mappings/unmatched?events=0", 400), ("mappings/unmatched?events=100001", 400),
     ("traces/xyz/explain", 400), (f"traces/{'f' * 32}/explain", 404)],
)  # fmt: skip
def test_bad_questions_are_refused(client: Any, path: str, status: int) -> None:
    """What is out of bounds, no id, or not there."""
    assert client.get(f"/api/v1/{path}").status_code == status


@pytest.mark.parametrize("words", [["explain", TRACE.hex()], ["unmatched"]])
def test_the_command_line_asks_a_service_as_it_asks_a_folder(
    client: Any, data: Path, words: list[str]
) -> None:
    """With --url the answer is the one of the folder."""
    told = []
    for where in (["--data", str(data)], ["--url", str(client.base_url)]):
        result = CliRunner().invoke(app, ["mappings", *words, "--json", *where])
        assert result.exit_code == 0, result.output
        told.append(json.loads(result.stdout))
    assert told[0] == told[1]


def test_before_the_first_start_the_packages_rules_count(data: Path, tmp_path: Path) -> None:
    """As the first start will put them in force; a file that is damaged is told."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy, symlinks=True)
    (copy / FILE).unlink()
    with serving(copy) as client:
        found = ask(client, "mappings")
        assert found["applied_at"] is None
        assert "web.get" not in {item["id"] for item in found["items"]}
        (copy / FILE).write_text("{")
        answer = client.get("/api/v1/mappings")
        assert str(copy) not in answer.text
        assert (answer.status_code, "mappings.json" in answer.text) == (503, True)

"""`spanledger mappings explain`, `unmatched` and `check --against` on what is in the log."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.events import BASE_NS, make_batch, make_context, make_span, span_id, trace_id
from tests.views import make_folder

CELERY = "opentelemetry.instrumentation.celery"
TRACE = trace_id(5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Celery task, a span that nobody knows, and an odd word for a result."""
    run = make_span(
        task=None, name="run/shop.pay", kind=5, trace_id=TRACE, span_id=span_id(2),
        attributes={
            "messaging.message.id": "m1", "celery.task_name": "shop.pay", "celery.state": "FAILURE",
        },
    )  # fmt: skip
    odd = make_span(task="t", attributes={"task.result": "gone fishing"}, trace_id=trace_id(6))
    stray = make_span(task=None, name="GET /", trace_id=TRACE, start_ns=BASE_NS)
    batches = [
        make_batch([run], context=make_context(scope_name=CELERY)),
        make_batch([odd, stray]),
    ]
    return make_folder(tmp_path_factory.mktemp("mapped") / "data", batches)


def ask(*words: str) -> Any:
    result = CliRunner().invoke(app, ["mappings", *words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_explain_tells_why(data: Path) -> None:
    """The rule of each span, and where task and run came from."""
    spans = ask("explain", TRACE.hex(), "--data", str(data))["spans"]
    (run,) = [span for span in spans if span["rule"] == "celery.run"]
    assert (run["task_id"], run["run_id"], run["statuses"]) == ("shop.pay", "m1", ["failed"])
    sources = {field["field"]: field["source"] for field in run["fields"]}
    assert sources["task_name"] == "attr.celery.task_name"


def test_unmatched_tells_what_no_rule_takes(data: Path) -> None:
    """Spans by scope and name, and words for results."""
    found = ask("unmatched", "--data", str(data))
    assert [(item["name"], item["spans"]) for item in found["items"]] == [("GET /", 1)]
    assert found["words"] == [{"word": "gone fishing", "rule": "native", "attempts": 1}]
    assert ask("unmatched", "--data", str(data), "--events", "1")["words"] == []


def test_a_rule_is_tried_on_a_trace(data: Path, tmp_path: Path) -> None:
    """`check --against` shows the attempts that it would give."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'version = 1\nsystem = "web"\n[[rule]]\nid = "web.get"\nmatch = { name = "GET *" }\n'
        'key = ["trace_id"]\ntask_name = "name"\nstatus = [ { is = "completed" } ]\n'
    )
    found = ask("check", str(file), "--against", TRACE.hex(), "--data", str(data))
    assert sorted(item["rule"] for item in found["items"]) == ["celery.run", "web.get"]
    missing = CliRunner().invoke(
        app, ["mappings", "check", "--against", "f" * 32, "--data", str(data)]
    )
    assert missing.exit_code == 3 or "no trace" in missing.output

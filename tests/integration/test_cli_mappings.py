"""`spanledger mappings list`, `show` and `check`, without a log or a service."""

import base64
import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typer.testing import CliRunner

from projections.mapping.rules.files import builtin_rules
from service.cli.main import app
from tests.captures import FOLDER, read_capture

MINE = """version = 1
system = "mine"
[[rule]]
id = "mine.ok"
like = "celery.run"
match = { kind = "CONSUMER", "attr.celery.task_name" = "shop.ok" }
"""


def _run(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["mappings", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A rule file."""
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def _capture(tmp_path: Path, form: str) -> Path:
    body = read_capture(FOLDER / "celery" / "default" / "traces.binpb.b64")
    path = tmp_path / "traces"
    if form == "protobuf":
        path.write_bytes(body)
        return path
    request = ExportTraceServiceRequest.FromString(body)
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    text = json.dumps(_in_hex(document))
    path.write_text(text if form == "json" else f"{text}\n{text}\n")
    return path


def _in_hex(value: object) -> object:
    """The document with ids as OTLP JSON has them."""
    if isinstance(value, list):
        return [_in_hex(one) for one in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {
        key: base64.b64decode(one).hex() if key in ids else _in_hex(one)
        for key, one in value.items()
    }


def test_the_list_has_every_rule(mine: Path) -> None:
    """A user's rules first, then all of the package."""
    code, out, _ = _run("list", "--json", "--mappings", mine.parent)
    items = json.loads(out)["items"]
    assert code == 0
    assert [item["id"] for item in items] == [
        "mine.ok", *(rule.id for rule in builtin_rules().rules)
    ]  # fmt: skip
    assert "celery.run" in _run("list")[1]


def test_show_tells_one_rule_whole() -> None:
    """Its table as the file has it; an unknown one is not found, and a near one offered."""
    code, out, _ = _run("show", "celery.run", "--json")
    assert (code, json.loads(out)["key"]) == (
        0,
        [["attr.messaging.message.id", "parent:attr.messaging.message.id"]],
    )
    code, _, err = _run("show", "celery.rnu")
    assert code == 3
    assert "did you mean 'celery.run'?" in err


def test_check_tells_what_is_wrong(mine: Path) -> None:
    """Exit code 2, and every problem with file, rule and key."""
    assert _run("check", mine)[0] == 0
    mine.write_text(MINE + 'rol = "run"\ngrop = "name"\n')
    code, _, err = _run("check", mine)
    assert code == 2
    assert err.count("rule 'mine.ok', key ") == 2
    assert _run("check", mine.with_name("gone.toml"))[0] == 2


@pytest.mark.parametrize("form", ["protobuf", "json", "lines"])
def test_check_against_a_capture(mine: Path, tmp_path: Path, form: str) -> None:
    """The attempts are those expected of the capture, some by the user's rule."""
    capture = _capture(tmp_path, form)
    code, out, _ = _run("check", mine, "--against", capture, "--json", "--explain")
    document = json.loads(out)
    expected = json.loads((FOLDER / "celery" / "default" / "attempts.json").read_text())
    assert code == 0
    assert sorted((i["run_id"], i["attempt"], i["status"]) for i in document["items"]) == sorted(
        (row["run"], row["n"], row["status"]) for row in expected
    )
    assert {i["rule"] for i in document["items"] if i["task_id"] == "shop.ok"} == {"mine.ok"}
    assert document["queued"] == 1
    told = [field for span in document["spans"] for field in span["fields"]]
    assert {"field": "queue", "value": "celery", "source": "attr.messaging.destination",
            "rule": None} in told  # fmt: skip


def test_a_capture_alone_is_tried_on_the_rules_of_the_package(tmp_path: Path) -> None:
    """No file needs to be named; one of both does."""
    code, out, _ = _run("check", "--against", _capture(tmp_path, "protobuf"), "--json")
    assert code == 0
    assert {item["rule"] for item in json.loads(out)["items"]} == {"celery.run"}
    assert _run("check")[0] == 2


def test_check_draws_a_table(mine: Path, tmp_path: Path) -> None:
    """For people: attempts, how many spans each rule took, and where fields came from."""
    code, out, _ = _run("check", mine, "--against", _capture(tmp_path, "protobuf"), "--explain")
    assert code == 0
    assert "celery.publish  18" in out
    assert "← attr.celery.task_name" in out


def test_what_is_no_capture(mine: Path, tmp_path: Path) -> None:
    """A file that is no OTLP, and one that is not there."""
    other = tmp_path / "other"
    other.write_text("nothing")
    assert _run("check", mine, "--against", other)[0] == 2
    assert _run("check", mine, "--against", tmp_path / "gone")[0] == 3

"""Rules that are applied while a service runs: history is mapped anew, and goes on being so."""

import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typer.testing import CliRunner

from events.errors import Rejected
from service.cli.main import app
from service.control.socket import call
from tests.invariants import wait_views
from tests.otlp import make_span, pair, traces
from tests.serving import Service, serving, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RULE = """
version = 1
system = "jobs"
[[rule]]
id = "jobs.job"
version = {version}
match = {{ scope = "*", "attr.job.id" = "*" }}
key = ["attr.job.id"]
task_name = "{name}"
status = [ {{ is = "completed" }} ]
"""


def job(number: int, job_id: str) -> Span:
    return make_span(
        span_id=number.to_bytes(8, "big"),
        name=f"job {number}",
        attributes=[pair("job.id", job_id), pair("job.kind", "import")],
    )


def post(service: Service, *spans: Span) -> None:
    request = urllib.request.Request(
        f"http://{service.http}/v1/traces", traces(*spans).SerializeToString(),
        {"Content-Type": "application/x-protobuf"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.read() == b""


def runs_of(service: Service) -> set[tuple[str, str, str]]:
    """Task, run and rule of every attempt."""
    wait_views(service)
    items: list[dict[str, Any]] = service.ask("/api/v1/attempts")["items"]
    return {(row["task_id"], row["run_id"], row["rule"]) for row in items}


def apply(service: Service) -> Any:
    return call(service.data, "projector", "apply_mappings", timeout_s=60)


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN], ids=["plain", "ignored"])
def inherited(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is done about SIGHUP where the service starts; under nohup it is ignored."""
    before = signal.signal(signal.SIGHUP, request.param)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("inherited")
def test_rules_are_applied_and_nothing_else_changes(tmp_path: Path) -> None:
    """Files do nothing until they are applied, by the command or SIGHUP; a bad one changes nothing;
    what identifies runs is left whole from then on."""
    folder = tmp_path / "mappings"
    folder.mkdir()
    file = folder / "jobs.toml"
    with serving(tmp_path, "--mappings", str(folder)) as service:
        post(service, job(1, "bob@example.com"))
        file.write_text(RULE.format(version=1, name="attr.job.kind"))
        assert runs_of(service) == set()
        assert apply(service)["rules"] > 10
        (first,) = runs_of(service)
        assert first[0::2] == ("import", "jobs.job@1")
        assert "bob" not in first[1]
        post(service, job(2, "ann@example.com"))
        assert runs_of(service) == {first, ("import", "ann@example.com", "jobs.job@1")}
        file.write_text(RULE.format(version=1, name="nonsense.job.kind"))
        with pytest.raises(Rejected, match=r"jobs\.toml, rule 'jobs\.job', key 'task_name'"):
            apply(service)
        post(service, job(3, "eve@example.com"))
        assert ("import", "eve@example.com", "jobs.job@1") in runs_of(service)
        file.write_text(RULE.format(version=2, name="name"))
        os.kill(service.pid, signal.SIGHUP)
        expected = ("job 3", "eve@example.com", "jobs.job@2")
        until(lambda: expected in runs_of(service), within_s=60)
        assert len(runs_of(service)) == 3
    assert (
        CliRunner().invoke(app, ["mappings", "apply", "--data", str(service.data)]).exit_code == 0
    )
    file.write_text("version = 1\n")
    with serving(tmp_path, "--mappings", str(folder)) as service:
        assert expected in runs_of(service)
        assert "mapping files cannot be used" in service.said()

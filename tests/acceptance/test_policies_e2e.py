"""Policies that are applied while a service runs."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli.main import app
from tests.serving import Service, serving, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def rule(most: int) -> str:
    return f'[[rule]]\nid = "a"\nwhen = {{ task = "t" }}\nmax_attempts = {most}\n'


def most_of(service: Service) -> int:
    """The attempts that a decision allows now."""
    body = {"task": "t", "category": "network", "transient": True}
    answer = httpx.post(f"http://{service.api}/api/v1/policies/decide", json=body, timeout=30)
    return int(answer.json()["max_attempts"])


def command(service: Service, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--data", str(service.data)])


def test_policies_come_into_force_without_a_restart(tmp_path: Path) -> None:
    """At the start, by `apply` and by SIGHUP; a bad file changes nothing; the log has each."""
    file = tmp_path / "data" / "policies.toml"
    file.parent.mkdir()
    file.write_text(rule(7))
    with serving(tmp_path) as service:
        until(lambda: most_of(service) == 7, 60)
        file.write_text(rule(8))
        assert command(service, "policies", "apply").exit_code == 0
        assert most_of(service) == 8
        file.write_text(rule(0))
        refused = command(service, "policies", "apply")
        assert refused.exit_code == 2
        assert f"{file}:4: rule 'a': max_attempts" in refused.stderr
        os.kill(service.pid, signal.SIGHUP)
        until(lambda: "policies were not applied" in service.said(), 60)
        assert most_of(service) == 8
        file.write_text(rule(9))
        os.kill(service.pid, signal.SIGHUP)
        until(lambda: most_of(service) == 9, 60)
        read = command(service, "log", "read", "--kind", "spanledger.policies_applied", "--json")
        facts = [json.loads(line)["event"] for line in read.stdout.splitlines()]
        assert [fact["actor"] for fact in facts][::2] == ["start", "sighup"]
        assert facts[0]["payload"]["text"] == rule(7)
        shown = command(service, "policies", "show", "--task", "t", "--json")
        assert json.loads(shown.stdout)["settings"]["max_attempts"] == 9
    with serving(tmp_path) as service:
        assert most_of(service) == 9

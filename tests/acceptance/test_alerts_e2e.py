"""Alerts of a whole service: told although processes are killed and files are bad."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from service.configuration.settings import Settings
from service.roles.declaration import instances_of
from tests.alerting import send_failure
from tests.hooks import Hook, hooked
from tests.run_cli import said_by
from tests.serving import Service, metric_of, serving, until

pytestmark = pytest.mark.slow

RULES = """
every = "200ms"

[[rule]]
name = "failures"
when = "terminal_failures"

[[receiver]]
name = "ops"
type = "webhook"
url = "{url}"
secret_file = "secret"
"""


def with_rules(folder: Path, hook: Hook) -> Path:
    """A data folder with a file of rules."""
    data = folder / "data"
    data.mkdir()
    (data / "secret").write_text("a secret of many letters\n")
    (data / "alerts.toml").write_text(RULES.format(url=hook.url))
    return data


def kill_alerts(service: Service) -> None:
    """Kill the role; its supervisor starts it again."""
    pid = service.children()["alerts"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.children().get("alerts", pid) != pid)


def kinds_in_log(service: Service) -> list[str]:
    """The kinds of the facts of alerts in the log."""
    lines = said_by("log", "read", "--kind", "fact", "--json", "--data", str(service.data))
    facts = (json.loads(line) for line in lines.splitlines())
    return [kind for fact in facts if (kind := _kind(fact)).startswith("spanledger.alert.")]


def _kind(fact: Any) -> str:
    return str(fact["event"]["kind"] if "event" in fact else fact["kind"])


def test_a_killed_role_loses_no_notice(tmp_path: Path) -> None:
    """Killed while the receiver has not answered, and while it refuses; what comes later has the
    id of what came before, the log has each fact once, and nothing waits in the end."""
    with hooked() as hook:
        with_rules(tmp_path, hook)
        with serving(tmp_path, "--alerts-allow", "127.0.0.1") as service:
            hook.hold.clear()
            send_failure(service, "charge", "r1")
            hook.wait(1)
            kill_alerts(service)
            hook.wait(2)
            hook.answers += [503, 503]
            hook.hold.set()
            until(lambda: not hook.answers, 60)
            kill_alerts(service)
            until(lambda: waiting(service) == {"log": 0, "ops": 0}, 60)
            assert len({post.headers["webhook-id"] for post in hook.posts}) == 1
            send_failure(service, "charge", "r2", ok=True)
            until(lambda: hook.statuses()[-1] == "resolved", 60)
            until(lambda: waiting(service) == {"log": 0, "ops": 0}, 60)
            assert sorted(kinds_in_log(service)) == [
                "spanledger.alert.fired", "spanledger.alert.resolved",
            ]  # fmt: skip
            (alert,) = service.ask("/api/v1/alerts")["items"]
            assert (alert["state"], alert["labels"]) == ("resolved", {"task": "charge"})
            history = service.ask("/api/v1/alerts/history")["items"]
            assert [item["change"] for item in history] == ["resolved", "fired"]
            assert metric_of(service, "spanledger_alert_notices_total", result="taken") >= 1


def waiting(service: Service) -> dict[str, int]:
    """What waits for each receiver."""
    receivers = service.ask("/api/v1/alerts")["receivers"]
    return {one["name"]: one["waiting"] for one in receivers}


def test_rules_are_read_again_on_sighup_and_a_bad_file_is_told(tmp_path: Path) -> None:
    """What was in force stays so; the commands say the same, of the file that the service has."""
    with hooked() as hook:
        data = with_rules(tmp_path, hook)
        file = (data / "alerts.toml").rename(data / "ours.toml")
        options = ("--alerts-allow", "127.0.0.1", "--alerts-file", str(file))
        with serving(tmp_path, *options) as service:
            good = file.read_text()
            file.write_text(good.replace("terminal_failures", "terminal"))
            os.kill(service.pid, signal.SIGHUP)
            until(lambda: "a file cannot be used" in service.said())
            assert "no such kind of rule; did you mean 'terminal_failures'?" in service.said()
            checked = said_by("alerts", "check", "--data", str(data), code=2)
            assert "line 6, rule 1, key 'when': no such kind" in checked
            file.write_text(good.replace('"failures"', '"losses"'))
            os.kill(service.pid, signal.SIGHUP)
            until(lambda: "files were read again" in service.said())
            send_failure(service, "charge", "r1")
            (post,) = hook.wait(1)
            assert post.document["data"]["rule"] == "losses"
            assert "ops took it" in said_by("alerts", "test", "ops", "--data", str(data))
            assert hook.statuses()[-1] == "test"
            listed = json.loads(
                said_by("alerts", "list", "--json", "--url", f"http://{service.api}")
            )
            assert [item["rule"] for item in listed["items"]] == ["losses"]
            found = json.loads(said_by("alerts", "check", "--json", "--data", str(data)))
            assert [item["found"] for item in found["items"]] == [1]


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    """With its line and key; a service without a file has no such role."""
    data = tmp_path / "data"
    data.mkdir()
    assert "alerts" not in instances_of(Settings(data=data))
    (data / "alerts.toml").write_text("[[rule]]\n")
    refused = said_by("serve", "--data", str(data), "--api-port", "0", "--grpc-port", "0",
                      "--http-port", "0", code=1)  # fmt: skip
    assert "alerts.toml, line 1, rule 1, key 'when': no such kind of rule" in refused

"""A real Prometheus on a busy service: every rule's and every panel's query gives an answer."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.alerting import send_failure
from tests.otlp_requests import send_attempts
from tests.ports import free_port
from tests.serving import Service, serving, until

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RULES = """
every = "200ms"

[[rule]]
name = "failures"
when = "terminal_failures"

[[receiver]]
name = "manager"
type = "alertmanager"
url = "http://127.0.0.1:{port}"
"""
TROUBLE = (
    "spanledger_forward_", "spanledger_child_restarts_total", "spanledger_refused_total",
    "spanledger_conflicts_total", 'spanledger_process_up == 0', 'up{job="spanledger"} == 0',
)  # fmt: skip
"""Metrics that a service in good health, which forwards nothing, has no sample of."""


class Peer:
    """A Prometheus or Alertmanager, ended by its process id."""

    def __init__(self, words: list[str], folder: Path, url: str) -> None:
        self.url = url
        folder.mkdir(parents=True)
        self._output = (folder / "output.log").open("wb")
        self._process = subprocess.Popen(
            words, cwd=folder, stdout=self._output, stderr=subprocess.STDOUT
        )

    def ask(self, path: str, **parameters: str) -> Any:
        """The JSON at a path."""
        answer = httpx.get(self.url + path, params=parameters, trust_env=False, timeout=20)
        answer.raise_for_status()
        return answer.json()

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(self.url + "/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)
        self._output.close()


def manager(folder: Path, port: int) -> Peer:
    """An Alertmanager that tells nobody."""
    config = folder.parent / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    words = [
        "prometheus-alertmanager", f"--config.file={config}", f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    return Peer(words, folder, f"http://127.0.0.1:{port}")


def prometheus(folder: Path, service: Service) -> Peer:
    """A Prometheus with the files of `deploy/`, but quicker, and with this service."""
    etc = folder.parent / "etc"
    shutil.copytree(DEPLOY / "prometheus", etc)
    config = yaml.safe_load((etc / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [service.api]}]
    (etc / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    words = [
        "prometheus", f"--config.file={etc / 'prometheus.yml'}", f"--storage.tsdb.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    return Peer(words, folder, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Peer, Peer]]:
    """A busy service that is scraped, and an Alertmanager that its alerts go to."""
    folder = tmp_path_factory.mktemp("prometheus")
    data = folder / "data"
    data.mkdir()
    port = free_port()
    (data / "alerts.toml").write_text(RULES.format(port=port))
    alertmanager = manager(folder / "alertmanager", port)
    try:
        with serving(folder, "--alerts-allow", "127.0.0.1") as service:
            send_attempts(service, 20)
            scraper = prometheus(folder / "prometheus", service)
            try:
                until(lambda: scraper.is_ready() and alertmanager.is_ready(), 60)
                until(lambda: value(scraper, "spanledger_attempts_total") is not None, 60)
                seen = value(scraper, "count_over_time(up[5m])") or 0
                send_attempts(service, 20)
                send_failure(service, "charge", "r1")
                until(lambda: (value(scraper, "count_over_time(up[5m])") or 0) > seen + 4, 60)
                yield service, scraper, alertmanager
            finally:
                scraper.close()
    finally:
        alertmanager.close()


def value(scraper: Peer, query: str) -> float | None:
    """The first value of a query now; None if it gives nothing."""
    found = scraper.ask("/api/v1/query", query=query)["data"]["result"]
    return float(found[0]["value"][1]) if found else None


def queries() -> list[tuple[str, str]]:
    """Every query of every panel that Prometheus answers, with the panel's name."""
    found = []
    for board in BOARDS:
        for panel in json.loads(board.read_text())["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == "prometheus":
                    found.append((f"{board.stem}: {panel['title']}", target["expr"]))
    return found


def test_every_panel_has_data(peers: tuple[Service, Peer, Peer]) -> None:
    """But those about trouble that there is none of; these are at least understood."""
    _, scraper, _ = peers
    assert len(queries()) > 40
    for panel, query in queries():
        if not any(name in query for name in TROUBLE):
            until(lambda query=query: value(scraper, query) is not None, 60)  # type: ignore[misc]
        found = scraper.ask("/api/v1/query", query=query)
        assert found["status"] == "success", panel


def test_every_rule_is_evaluated(peers: tuple[Service, Peer, Peer]) -> None:
    """Recording rules give figures; none of the alerts fires on a service in good health."""
    _, scraper, _ = peers

    def states() -> list[dict[str, Any]]:
        groups = scraper.ask("/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    until(lambda: all(rule["health"] == "ok" for rule in states()), 60)
    recorded = [rule["name"] for rule in states() if rule["type"] == "recording"]
    assert len(recorded) == 9
    for name in recorded:
        assert value(scraper, name) is not None, name
    assert 0.3 < (value(scraper, "spanledger:attempt_success:ratio_rate5m") or 0) < 0.7
    alerts = [rule for rule in states() if rule["type"] == "alerting"]
    assert len(alerts) == 15
    assert [rule["name"] for rule in alerts if rule["state"] == "firing"] == []


def test_every_metric_that_is_asked_for_is_there(peers: tuple[Service, Peer, Peer]) -> None:
    """Also those of alerts, which have no sample while all is well: by their names in /metrics."""
    service, scraper, _ = peers
    text = httpx.get(f"http://{service.api}/metrics", trust_env=False).text
    known = set(re.findall(r"^# TYPE (\w+)", text, re.M))
    asked = [query for _, query in queries()]
    for file in ("alerts.yml", "recording.yml"):
        groups = yaml.safe_load((DEPLOY / "prometheus" / file).read_text())["groups"]
        asked += [rule["expr"] for group in groups for rule in group["rules"]]
    names = {name for query in asked for name in re.findall(r"(?<!:)\bspanledger_\w+", query)}
    assert not {name for name in names if name.removesuffix("_bucket") not in known}
    assert scraper.ask("/api/v1/targets")["data"]["activeTargets"][0]["health"] == "up"


def test_an_alertmanager_receives_alerts(peers: tuple[Service, Peer, Peer]) -> None:
    """They fire there, and end there when the task's next run completes."""
    service, _, alertmanager = peers

    def firing() -> list[Any]:
        found = alertmanager.ask("/api/v2/alerts", active="true")
        return [one for one in found if one["labels"]["task"] == "charge"]

    until(firing, 60)
    (alert,) = firing()
    assert alert["labels"]["alertname"] == "failures"
    assert alert["labels"]["severity"] == "error"
    assert "failed for good of task charge" in alert["annotations"]["summary"]
    assert alert["endsAt"] > alert["startsAt"]
    send_failure(service, "charge", "r2", ok=True)
    until(lambda: not firing(), 60)


def test_the_rules_are_right() -> None:
    """promtool finds no fault in them, and they give what their own tests say."""
    for words in (["check", "config", "prometheus.yml"], ["test", "rules", "tests.yml"]):
        done = subprocess.run(
            ["promtool", *words], cwd=DEPLOY / "prometheus", capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test() -> None:
    """A series of figures under which it fires."""
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    tests = yaml.safe_load((DEPLOY / "prometheus" / "tests.yml").read_text())["tests"]
    tried = {
        one["alertname"] for test in tests for one in test.get("alert_rule_test", ())
        if one["exp_alerts"]
    }  # fmt: skip
    assert {rule["alert"] for group in rules for rule in group["rules"]} == tried

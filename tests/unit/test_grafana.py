"""Grafana's dashboards and provisioning: what can be said of them without Grafana itself."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
GRAFANA = DEPLOY / "grafana"
BOARDS = {path.stem: path for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def provisioned(name: str) -> dict[str, Any]:
    """A file of the provisioning."""
    document = yaml.safe_load((GRAFANA / "provisioning" / name / "spanledger.yaml").read_text())
    assert isinstance(document, dict)
    return document


def board(name: str) -> dict[str, Any]:
    """A dashboard."""
    document = json.loads(BOARDS[name].read_text())
    assert isinstance(document, dict)
    return document


def test_the_dashboards_are_those_that_are_named() -> None:
    """Five, each with an id of its own, linked to one another."""
    assert set(BOARDS) == {"overview", "task", "errors", "executors", "ledger"}
    documents = [board(name) for name in BOARDS]
    assert len({document["uid"] for document in documents}) == len(BOARDS)
    assert all(document["links"][0]["tags"] == document["tags"] for document in documents)


@pytest.mark.parametrize("name", BOARDS)
def test_panels_stand_beside_each_other(name: str) -> None:
    """None over another or over the edge; each has an id, a title and a query to a known source."""
    document = board(name)
    sources = {one["uid"]: one["type"] for one in provisioned("datasources")["datasources"]}
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y) for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }  # fmt: skip
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            source = target["datasource"]
            assert sources[source["uid"]] == source["type"]
            assert target.get("expr") or target.get("query")
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["title"] for panel in document["panels"])


@pytest.mark.parametrize("name", BOARDS)
def test_variables_are_used(name: str) -> None:
    """Each, and no other."""
    text = BOARDS[name].read_text()
    named = {one["name"] for one in board(name)["templating"]["list"]}
    assert {word for word in ("task", "executor") if f"${word}" in text} == named


def test_compose_mounts_what_grafana_and_prometheus_read() -> None:
    """The folder that the provider names, and the rules that Prometheus's file names."""
    services = yaml.safe_load((DEPLOY / "docker-compose.tempo.yaml").read_text())["services"]
    (provider,) = provisioned("dashboards")["providers"]
    mounts = dict(one.split(":")[:2] for one in services["grafana"]["volumes"])
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    mounts = dict(one.split(":")[:2] for one in services["prometheus"]["volumes"])
    config = yaml.safe_load((DEPLOY / "prometheus" / "compose.yml").read_text())
    usual = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert mounts["./prometheus"] == "/etc/prometheus"
    assert config["rule_files"] == usual["rule_files"]
    assert all((DEPLOY / "prometheus" / file).is_file() for file in config["rule_files"])
    (scraped,) = config["scrape_configs"]
    assert scraped["job_name"] == usual["scrape_configs"][0]["job_name"] == "spanledger"
    token = Path(scraped["authorization"]["credentials_file"])
    assert mounts["data"] == str(token.parent)

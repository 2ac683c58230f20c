"""The files that people deploy with: each is what its reader will accept."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.access.tokens import TokenStore

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "docker-compose.yaml"
TEMPO = DEPLOY / "docker-compose.tempo.yaml"


def load(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Each instruction of a Dockerfile with its arguments."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = [line.split(None, 1) for line in whole.splitlines() if line.strip()]
    return [(name, arguments) for name, arguments in parts]


def test_the_image_is_slim_and_unprivileged() -> None:
    """Two stages; the last runs as a numbered user, with a health check and no compiler."""
    stages: list[list[tuple[str, str]]] = []
    known = {
        "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    for name, arguments in instructions((DEPLOY / "Dockerfile").read_text()):
        assert name in known
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, arguments))
    assert len(stages) == 2
    last = dict(stages[1])
    assert "slim" in last["FROM"]
    assert last["USER"] == "10001:10001"
    assert "/api/v1/health/ready" in last["HEALTHCHECK"]
    assert last["EXPOSE"].split() == ["4317", "4318", "8000", "8001", "17271"]
    assert "gcc" not in str(stages[1])
    for name in ("ENTRYPOINT", "CMD"):
        assert json.loads(last[name])
    assert json.loads(last["HEALTHCHECK"].partition("CMD")[2])


def test_the_image_copies_what_is_there() -> None:
    """Every file that the image is made of exists, and none of them is ignored."""
    allowed = {
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for name, arguments in instructions((DEPLOY / "Dockerfile").read_text()):
        if name == "COPY" and not arguments.startswith("--from"):
            for source in shlex.split(arguments)[:-1]:
                assert (ROOT / source).exists()
                assert source.removeprefix("./") in allowed


def test_the_token_script_makes_a_token_once(tmp_path: Path) -> None:
    """The script leaves a token that works in the file, and keeps it when run again."""
    command = tmp_path / "spanledger"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m service.cli.main "$@"\n')
    command.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SPANLEDGER_DATA": str(tmp_path)}
    made = tmp_path / "token"
    make = [DEPLOY / "make-token", "collector", "ingest", made]
    subprocess.run(make, check=True, env=environment)
    token = made.read_text()
    assert token == token.strip()
    assert made.stat().st_mode & 0o777 == 0o600
    store = TokenStore(tmp_path / "tokens.json")
    assert store.authorize(f"Bearer {token}", "ingest", "default") == "default"
    subprocess.run(make, check=True, env=environment)
    assert made.read_text() == token
    made.unlink()
    subprocess.run(make, check=True, env=environment)
    assert store.authorize(f"Bearer {made.read_text()}", "ingest", "default") == "default"


def test_compose_files_fit_together() -> None:
    """Volumes, dependencies and mounted files of both files are there; ports are loopback's."""
    first, second = load(COMPOSE), load(TEMPO)
    services = first["services"] | second["services"]
    volumes = first["volumes"] | second["volumes"]
    assert {"tokens", "spanledger", "collector", "jaeger", "tempo", "grafana"} <= set(services)
    for document in (first, second):
        for service in document["services"].values():
            for mount in service.get("volumes", []):
                source = mount.split(":")[0]
                assert (DEPLOY / source).exists() if source.startswith(".") else source in volumes
            assert set(service.get("depends_on", [])) <= set(services)
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    published = load(COMPOSE)["services"]["spanledger"]["ports"]
    assert {port.rpartition(":")[2] for port in published} == {"8000", "8001", "17271"}


def test_compose_gives_the_collector_its_token() -> None:
    """The one-shot leaves the token in the file that the Collector's variable names."""
    services = load(COMPOSE)["services"]
    token = services["collector"]["environment"]["SPANLEDGER_TOKEN"]
    assert token == "$${file:/collector/token}"
    assert "make-token collector ingest /collector/token" in services["tokens"]["command"][0]
    for name in ("spanledger", "collector"):
        condition = services[name]["depends_on"]["tokens"]["condition"]
        assert condition == "service_completed_successfully"


def test_compose_itself_accepts_the_files() -> None:
    """`docker compose config` merges the files without an error, where it is installed."""
    docker = shutil.which("docker")
    if (
        not docker
        or subprocess.run(
            [docker, "compose", "version"], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("docker compose is not installed")
    for files in (["-f", COMPOSE], ["-f", COMPOSE, "-f", TEMPO]):
        subprocess.run([docker, "compose", *files, "config", "--quiet"], check=True)


def test_the_collector_file_is_whole() -> None:
    """Each pipeline names parts that are configured, and each variable is explained."""
    text = (ROOT / "otel-collector.yaml").read_text()
    document = load(ROOT / "otel-collector.yaml")
    service = document["service"]
    for pipeline in service["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(document[kind])
    assert set(service["extensions"]) <= set(document["extensions"])
    explained = text.partition("receivers:")[0]
    for variable in set(re.findall(r"\$\{env:(\w+)", text)):
        assert variable in explained
    given = load(COMPOSE)["services"]["collector"]["environment"]
    assert set(given) <= set(re.findall(r"\$\{env:(\w+)", text))
    queue = document["exporters"]["otlp_grpc/spanledger"]["sending_queue"]
    assert queue["storage"] == "file_storage"


def test_tempo_and_grafana_point_at_each_other() -> None:
    """Grafana's data source is Tempo's query port, and Tempo takes OTLP from Spanledger."""
    sources = load(DEPLOY / "grafana/provisioning/datasources/spanledger.yaml")["datasources"]
    source = sources[0]
    tempo = load(DEPLOY / "tempo.yaml")
    assert source["type"] == "tempo"
    assert source["url"] == f"http://tempo:{tempo['server']['http_listen_port']}"
    assert tempo["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]
    forward = load(TEMPO)["services"]["spanledger"]["environment"]["SPANLEDGER_FORWARD"]
    assert forward.startswith("otlp+grpc://tempo:4317")


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing wrong, where it is installed."""
    text = (DEPLOY / "spanledger.service").read_text()
    command = "/opt/spanledger/bin/spanledger"
    assert f"ExecStart={command} serve --data /var/lib/spanledger" in text
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "User=spanledger"):
        assert line in text
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / "spanledger.service"
    unit.write_text(text.replace(command, "/bin/true"))
    done = subprocess.run([analyze, "verify", unit], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")

"""A role that is declared in one record is known everywhere: nothing else is touched for it."""

import json
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.control.socket import call
from service.roles.declaration import ROLES
from tests.serving import SERVE, Service, clean_environment, metric_of, serving

TOYS = {"PYTHONPATH": str(Path(__file__).parents[1] / "data" / "toyrole"), "TOY_PORT": "0"}


def asked(
    data: Path, *words: str, env: Mapping[str, str] = TOYS
) -> "subprocess.CompletedProcess[str]":
    """A command beside the service, which knows the role as well."""
    return subprocess.run(
        [*SERVE[:-1], *words, "--data", str(data)], capture_output=True, text=True, timeout=60,
        env=clean_environment(env), check=False,
    )  # fmt: skip


def document(data: Path, *words: str) -> Any:
    """Its answer as JSON."""
    return json.loads(asked(data, *words, "--json").stdout)


def check_of(data: Path, name: str, *options: str) -> dict[str, Any]:
    """One line of the doctor."""
    checks = document(data, "doctor", *options)["checks"]
    (found,) = (check for check in checks if check["name"] == name)
    return dict(found)


def greeting(service: Service) -> bytes:
    """What the toy says to whoever connects."""
    host, _, port = (service.endpoints() or {})["toy"].rpartition(":")
    with socket.create_connection((host, int(port)), 5) as peer:
        return peer.recv(100)


def test_a_new_role_is_known_everywhere(tmp_path: Path) -> None:
    """Supervisor, endpoints.json, readiness, status, doctor, metrics and settings have it."""
    assert "toy" not in ROLES
    with serving(tmp_path, "--toy-port", "0", "--toy-greeting", "hi", env=TOYS) as service:
        assert "toy" in service.children()
        assert greeting(service) == b"hi"
        assert service.endpoints()["toy"] in service.said()  # type: ignore[index]
        assert "toy" in document(service.data, "status")["roles"]
        assert "of our service" in check_of(service.data, "port toy", "--toy-port", "0")["found"]
        metric_of(service, "spanledger_requests_total")
        assert metric_of(service, "spanledger_process_up", process="toy") == 1
        assert call(service.data, "toy", "ping")["ports"] == {"toy": service.endpoints()["toy"]}  # type: ignore[index]
        assert service.terminate() == 0
        ended = [line for line in service.said().splitlines() if "action=stop" in line]
        assert " toy[" in ended[0]  # it declares to be drained first


def test_a_port_that_is_off(tmp_path: Path) -> None:
    """The role does not run then."""
    with serving(tmp_path, "--toy-port", "off", env=TOYS) as service:
        assert "toy" not in service.children()
        assert check_of(service.data, "port toy", "--toy-port", "off")["found"] == "off"


def test_a_default_port_that_is_taken_is_left_out(tmp_path: Path) -> None:
    """The service starts without it and says so; one that is asked for stops the start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        toys = TOYS | {"TOY_PORT": port}
        with serving(tmp_path, env=toys) as service:
            assert "toy" not in service.children()
            assert f"port {port}" in (service.endpoints() or {})["left_out"]["toy"]
            status = json.loads(asked(service.data, "status", "--json", env=toys).stdout)
            assert any("port toy" in problem for problem in status["problems"])
            doctor = json.loads(asked(service.data, "doctor", "--json", env=toys).stdout)
            (check,) = (check for check in doctor["checks"] if check["name"] == "port toy")
            assert check["state"] == "warning"
            assert service.ask("/api/v1/health/ready")["status"] == "ready"
        free = ("--grpc-port", "0", "--http-port", "0", "--api-port", "0")
        refused = asked(tmp_path / "other", "serve", *free, "--toy-port", port, env=toys)
        assert refused.returncode == 4
        assert "--toy-port" in refused.stderr


@pytest.mark.parametrize("words", [("--toy-port", "70000"), ("--toy-port", "on")])
def test_a_bad_port_is_named(words: tuple[str, str], tmp_path: Path) -> None:
    """With what may stand there."""
    refused = asked(tmp_path, "serve", *words)
    assert refused.returncode == 2
    assert "--toy-port: expected a number from 0 to 65535, or off" in refused.stderr

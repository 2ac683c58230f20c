"""Agents ask a running service: at its own port, over standard input and output, over TLS."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from tests.certificates import make_certificate
from tests.mcp_service import call, talk
from tests.sending import send, wait_for_tasks
from tests.serving import Service, clean_environment, metric_of, serving

pytestmark = pytest.mark.slow
TASKS = {f"task-{number}" for number in range(5)}
SPANLEDGER = [sys.executable, "-P", "-m", "service.cli.main"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with MCP on a free port and some tasks."""
    with serving(tmp_path_factory.mktemp("mcp"), "--mcp-port", "0") as it:
        send(it, sorted(TASKS))
        wait_for_tasks(it, TASKS)
        yield it


def mcp_url(service: Service) -> str:
    """Where a service says that it answers agents."""
    return f"http://{(service.endpoints() or {})['mcp']}/mcp"


def stdio(*words: str) -> StdioServerParameters:
    """`spanledger mcp` as a client starts it."""
    command = [*SPANLEDGER, "mcp", *words]
    return StdioServerParameters(command=command[0], args=command[1:], env=clean_environment())


def tasks_of(result: Any) -> set[str]:
    """The tasks of an answer of `tasks_list`."""
    assert not result.is_error, result.content
    return {execution["task_id"] for execution in result.structured_content["executions"]}


def test_the_port_of_a_service_answers_and_counts(service: Service) -> None:
    """The address in `endpoints.json` answers the official client, and `/metrics` tells it."""
    assert tasks_of(call(mcp_url(service), "tasks_list")) == TASKS
    assert f"MCP        {mcp_url(service).removesuffix('/mcp')}" in service.said()
    calls = metric_of(service, "spanledger_mcp_calls_total", tool="tasks_list", outcome="answered")
    assert calls == 1
    assert metric_of(service, "spanledger_mcp_call_seconds_count") == 1


def test_standard_input_and_output_answer_from_a_service(service: Service) -> None:
    """`spanledger mcp --url` tells what the port tells, and the service's refusals."""

    async def saying(client: Client) -> Any:
        listed = await client.call_tool("tasks_list", {})
        return listed, await client.call_tool("task_stats", {"task_id": "task-x"})

    listed, unknown = talk(stdio("--url", f"http://{service.api}"), saying)
    assert tasks_of(listed) == TASKS
    assert unknown.is_error
    assert "task-1" in unknown.structured_content["message"]
    gone = call(stdio("--url", "http://127.0.0.1:9"), "tasks_list")
    assert gone.structured_content["error"] == "unavailable"


def test_what_install_writes_answers_from_the_folder(service: Service, tmp_path: Path) -> None:
    """The command in the file of a client reads the data folder, from wherever it is started."""
    subprocess.run(
        [*SPANLEDGER, "mcp", "install", "claude-code", "--write", "--data", str(service.data)],
        cwd=tmp_path, check=True, timeout=60, env=clean_environment(), capture_output=True,
    )  # fmt: skip
    said = json.loads((tmp_path / ".mcp.json").read_text())["mcpServers"]["spanledger"]
    server = StdioServerParameters(
        command=said["command"], args=said["args"], env=clean_environment(), cwd=os.sep
    )
    assert tasks_of(call(server, "tasks_list")) == TASKS


def test_a_port_that_was_asked_for_and_is_taken_stops_the_start(tmp_path: Path) -> None:
    """The message names the option."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = [word for name in ("grpc", "http", "api") for word in (f"--{name}-port", "0")]
        refused = subprocess.run(
            [*SPANLEDGER, "serve", "--data", str(tmp_path), *ports, "--mcp-port", port],
            capture_output=True, text=True, timeout=60, env=clean_environment(), check=False,
        )  # fmt: skip
    assert refused.returncode == 4
    assert "--mcp-port" in refused.stderr


def test_tls_and_client_certificates_hold_for_agents(tmp_path: Path) -> None:
    """The port serves the certificate of the others, and wants one of clients where they do."""
    ca = make_certificate(tmp_path, "ca")
    own = make_certificate(tmp_path, "server", ca)
    client = make_certificate(tmp_path, "client", ca)
    context = ssl.create_default_context(cafile=str(ca.certificate))
    bare = ssl.create_default_context(cafile=str(ca.certificate))
    context.load_cert_chain(client.certificate, client.key)
    options = ["--tls-cert", own.certificate, "--tls-key", own.key, "--tls-client-ca"]
    words = [str(word) for word in (*options, ca.certificate)]
    with serving(tmp_path, "--mcp-port", "0", *words, tls=context) as service:
        url = mcp_url(service).replace("http:", "https:")
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        accept = {"accept": "application/json, text/event-stream"}
        with httpx.Client(verify=context, trust_env=False, timeout=60) as known:
            assert known.post(url, json=body, headers=accept).status_code == 200
        with (
            httpx.Client(verify=bare, trust_env=False, timeout=60) as stranger,
            pytest.raises(httpx.HTTPError),
        ):
            stranger.post(url, json=body, headers=accept)

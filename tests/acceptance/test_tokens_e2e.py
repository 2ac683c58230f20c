"""Tokens of a whole service: scopes, tenants, changes while it runs, and what never shows one."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.otlp import make_span, traces
from tests.sending import exporter, make_spans
from tests.serving import SERVE, Service, clean_environment, serving, until

CLI = [sys.executable, "-P", "-m", "service.cli.main"]
QUICK_S = 20.0
"""A change of the tokens counts within two seconds; a loaded machine takes longer."""

Tokens = dict[str, str]


def run(*args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """`spanledger …`"""
    return subprocess.run(
        [*CLI, *args], capture_output=True, text=True, timeout=120, check=False,
        env=clean_environment(env),
    )  # fmt: skip


def make_token(data: Path, name: str, scope: str, *args: str) -> str:
    """A token as a user makes it."""
    made = run("token", "add", name, "--scope", scope, "--data", str(data), "--quiet", *args)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Tokens]]:
    """A service with a token of each scope, and one bound to a tenant."""
    folder = tmp_path_factory.mktemp("tokens")
    tokens = {scope: make_token(folder / "data", scope, scope) for scope in ("ingest", "read")}
    tokens["admin"] = make_token(folder / "data", "boss", "admin")
    tokens["bound"] = make_token(folder / "data", "bound", "ingest", "--tenant", "team-a")
    tokens["bound-read"] = make_token(folder / "data", "bound-read", "read", "--tenant", "team-a")
    with serving(folder) as service:
        yield service, tokens


def bearer(token: str | None, tenant: str | None = None) -> dict[str, str]:
    """The headers that a client sends."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return headers | ({"x-scope-orgid": tenant} if tenant else {})


def send(
    service: Service, transport: str, task_id: str, headers: dict[str, str]
) -> SpanExportResult:
    """Send one attempt by the SDK."""
    sender = exporter(service, transport, headers=headers, timeout=3)
    try:
        return sender.export(make_spans([task_id]))
    finally:
        sender.shutdown()


def get(service: Service, path: str, headers: dict[str, str]) -> httpx.Response:
    """What the API answers."""
    return httpx.get(f"http://{service.api}{path}", headers=headers, trust_env=False, timeout=15)


def tasks_of(
    service: Service, headers: dict[str, str], of_all: dict[str, str] | None = None
) -> set[str]:
    """The tasks that a reader sees, once the views have everything.

    `of_all`: who may ask for the log's head, which is not one tenant's; by default the reader.
    """
    head = get(service, "/api/v1/log/head", of_all or headers).json()["position"]
    answer = get(service, f"/api/v1/tasks?limit=1000&min_position={head}", headers)
    assert answer.status_code == 200, answer.text
    return {item["task_id"] for item in answer.json()["items"]}


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_who_may_send(guarded: tuple[Service, Tokens], transport: str) -> None:
    """Ingest and admin may, for their tenant; reading or no token may not."""
    service, tokens = guarded
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    for name, tenant, expected in (
        ("ingest", None, good), ("ingest", "team-b", good), ("admin", None, good),
        ("bound", None, good), ("bound", "team-a", good), ("bound", "team-b", bad),
        ("read", None, bad), ("none", None, bad),
    ):  # fmt: skip
        headers = bearer(tokens.get(name), tenant)
        task_id = f"{transport}-{name}-{tenant}"
        assert send(service, transport, task_id, headers) is expected, (name, tenant)
    seen = {
        tenant: {task for task in tasks_of(service, bearer(tokens["read"], tenant))
                 if task.startswith(transport)}
        for tenant in ("default", "team-a", "team-b")
    }  # fmt: skip
    assert seen["default"] == {f"{transport}-ingest-None", f"{transport}-admin-None"}
    assert seen["team-a"] == {f"{transport}-bound-None", f"{transport}-bound-team-a"}
    assert seen["team-b"] == {f"{transport}-ingest-team-b"}
    bound = bearer(tokens["bound-read"])
    assert tasks_of(service, bound, of_all=bearer(tokens["read"])) >= seen["team-a"]
    assert get(service, "/api/v1/tasks", bearer(tokens["bound-read"], "team-b")).status_code == 403


@pytest.mark.slow
def test_who_may_ask(guarded: tuple[Service, Tokens]) -> None:
    """Health is open to all, also the documentation; everything else needs a token that reads."""
    service, tokens = guarded
    everyone = ["/api/v1/health/live", "/api/v1/health/ready", "/openapi.json", "/docs", "/"]
    of_all = ["/api/v1/log/head", "/metrics"]  # not told to a token of one tenant
    readers = ["/api/v1/tasks", "/api/v1/projections", *of_all]
    for path in everyone:
        assert get(service, path, {}).status_code == 200, path
    for path in [*readers, "/api/v1/events"]:
        refused = get(service, path, {})
        assert refused.status_code == 401, path
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"
        assert get(service, path, bearer(tokens["ingest"])).status_code == 403, path
        assert get(service, path, bearer("spl_" + "x" * 43)).status_code == 401, path
    for path in readers:
        for name in ("read", "admin"):
            assert get(service, path, bearer(tokens[name])).status_code == 200, (path, name)
        own = 403 if path in of_all else 200
        assert get(service, path, bearer(tokens["bound-read"])).status_code == own, path
    assert "events in the log" not in get(service, "/", {}).text
    for tenant in ("a/b", "x" * 65, "é"):
        assert get(service, "/api/v1/tasks", bearer(tokens["read"]) | {
            b"x-scope-orgid": tenant.encode()}).status_code == 400  # fmt: skip


@pytest.mark.slow
def test_refusals_of_otlp(guarded: tuple[Service, Tokens]) -> None:
    """Both transports tell who is unknown from who may not, permanently."""
    service, tokens = guarded
    body = traces(make_span()).SerializeToString()
    kind = {"content-type": "application/x-protobuf"}
    for name, status, code in (
        ("none", 401, grpc.StatusCode.UNAUTHENTICATED),
        ("read", 403, grpc.StatusCode.PERMISSION_DENIED),
    ):
        headers = bearer(tokens.get(name))
        url = f"http://{service.http}/v1/traces"
        answer = httpx.post(url, content=body, headers=kind | headers, trust_env=False)
        assert answer.status_code == status
        with grpc.insecure_channel(service.grpc) as channel:
            stub = trace_service_pb2_grpc.TraceServiceStub(channel)
            with pytest.raises(grpc.RpcError) as refusal:
                stub.Export(traces(make_span()), metadata=tuple(headers.items()), timeout=5)
        assert refusal.value.code() is code
        assert tokens["read"] not in refusal.value.details()


@pytest.mark.slow
def test_added_and_revoked_while_it_runs(guarded: tuple[Service, Tokens]) -> None:
    """A new token works and a revoked one ends, its open stream too, soon."""
    service, tokens = guarded
    token = make_token(service.data, "passing", "read")
    within(QUICK_S, lambda: get(service, "/api/v1/tasks", bearer(token)).status_code == 200)
    sender = make_token(service.data, "passing-sender", "ingest")
    within(QUICK_S, lambda: send(service, "grpc", "p", bearer(sender)) is SpanExportResult.SUCCESS)
    ended = threading.Event()

    def follow() -> None:
        url = f"http://{service.api}/api/v1/events"
        with httpx.stream("GET", url, headers=bearer(token), trust_env=False, timeout=20) as stream:
            assert stream.status_code == 200
            for _ in stream.iter_raw():
                pass
        ended.set()

    threading.Thread(target=follow, daemon=True).start()
    time.sleep(0.5)
    assert not ended.is_set()
    for name in ("passing", "passing-sender"):
        assert run("token", "revoke", name, "--data", str(service.data)).returncode == 0
    within(QUICK_S, lambda: get(service, "/api/v1/tasks", bearer(token)).status_code == 401)
    within(QUICK_S, lambda: send(service, "http", "p", bearer(sender)) is SpanExportResult.FAILURE)
    assert ended.wait(QUICK_S + 1.0)
    assert get(service, "/api/v1/tasks", bearer(tokens["read"])).status_code == 200


def within(seconds: float, condition: Callable[[], Any]) -> None:
    """`condition` comes to hold within so many seconds."""
    until(condition, within_s=seconds)


@pytest.mark.slow
def test_no_token_shows_anywhere(guarded: tuple[Service, Tokens]) -> None:
    """No log line, file of the data folder, argument or error answer holds a token."""
    service, tokens = guarded
    secret = make_token(service.data, "shown-nowhere", "ingest")
    headers = bearer(secret)
    answers = [get(service, path, headers).text for path in ("/api/v1/tasks", "/metrics", "/")]
    answers += [get(service, f"/api/v1/tasks?token={secret[:8]}", bearer(tokens["read"])).text]
    asked = run(
        "tasks", "--url", f"http://{service.api}", SPANLEDGER_TOKEN=secret, SPANLEDGER_TENANT="x"
    )
    assert asked.returncode != 0
    answers += [asked.stderr, run("token", "list", "--json", "--data", str(service.data)).stdout]
    answers += [service.said()]
    for pid in (service.pid, *service.children().values()):
        answers.append(Path(f"/proc/{pid}/cmdline").read_text())
        answers.append(Path(f"/proc/{pid}/environ").read_text())
    known = {**tokens, "secret": secret}.values()
    assert not [answer for answer in answers if any(token in answer for token in known)]
    for path in service.data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(token.encode() in content for token in known), path


@pytest.mark.slow
def test_another_address_needs_tokens(tmp_path: Path) -> None:
    """Without tokens it does not start there; with one it does, and stays closed without."""
    data = tmp_path / "data"
    ports = ["--grpc-port", "0", "--http-port", "0", "--api-port", "0"]
    refused = subprocess.run(
        [*SERVE, "--data", str(data), "--host", "0.0.0.0", *ports], capture_output=True,
        text=True, timeout=120, env=clean_environment(), check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "there are no tokens" in refused.stderr
    assert "spanledger token add" in refused.stderr
    token = make_token(data, "one", "admin")
    with serving(tmp_path, "--host", "0.0.0.0") as service:
        assert send(service, "grpc", "a", bearer(token)) is SpanExportResult.SUCCESS
        assert tasks_of(service, bearer(token)) == {"a"}
        revoked = run("token", "revoke", "one", "--data", str(data))
        assert "the last one" in revoked.stderr
        within(QUICK_S, lambda: get(service, "/api/v1/tasks", {}).status_code == 401)
        assert send(service, "http", "b", {}) is SpanExportResult.FAILURE


def test_the_file_is_its_owners(tmp_path: Path) -> None:
    """Nobody else on the machine may read the digests."""
    make_token(tmp_path / "data", "one", "read")
    assert os.stat(tmp_path / "data" / "tokens.json").st_mode & 0o077 == 0

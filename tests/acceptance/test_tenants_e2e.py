"""Two tenants with equal ids through a whole service: they meet nowhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from events import names
from projections.endpoints import ENDPOINTS
from tests.otlp import SPAN_ID, START_NS, TRACE_ID, logs, make_log, make_span, pair, traces
from tests.peers.sink import Sink
from tests.serving import Service, clean_environment, serving, until

CLI = [sys.executable, "-P", "-m", "service.cli.main"]
TENANTS = ("north", "south")
PAIRS = [TENANTS, TENANTS[::-1]]
TRACE = TRACE_ID.hex()


def of(tenant: str) -> dict[str, str]:
    """The header that names a tenant."""
    return {names.TENANT_HEADER: tenant}


def world(tenant: str) -> tuple[bytes, bytes]:
    """Spans and logs with the ids that the other tenant has too; only values tell whose."""
    attributes = {
        "task.id": "t", "task.run.id": "r", "task.executor.id": "w", "task.name": tenant,
        "task.queue": tenant,
    }  # fmt: skip
    failure = Span.Event(
        time_unix_nano=START_NS + 4, name="exception",
        attributes=[pair("exception.type", "E"), pair("exception.message", f"the {tenant}")],
    )  # fmt: skip
    failed = make_span(
        attributes=attributes | {"task.attempt": 1}, events=[failure], status=Status(code=2)
    )
    second = make_span(
        span_id=SPAN_ID[::-1], start_time_unix_nano=START_NS + 10,
        end_time_unix_nano=START_NS + 20, attributes=attributes | {"task.attempt": 2},
    )  # fmt: skip
    twin = make_span(span_id=b"\x07" * 8, name="detail", parent_span_id=SPAN_ID)
    own = make_span(
        span_id=b"\x09" * 8, trace_id=tenant.encode().ljust(16, b"\1"),
        attributes={"task.id": f"only-{tenant}"},
    )  # fmt: skip
    record = make_log(
        trace_id=TRACE_ID, span_id=SPAN_ID, body=AnyValue(string_value=f"log of {tenant}")
    )
    return (
        traces(failed, second, twin, own).SerializeToString(),
        logs(record, make_log(trace_id=TRACE_ID)).SerializeToString(),
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Sink]]:
    """A service with the worlds of both tenants, which forwards to a sink."""
    with Sink() as sink:
        target = f"otlp+grpc://{sink.grpc}?signals=traces,logs"
        with serving(tmp_path_factory.mktemp("tenants"), "--forward", target) as service:
            position = 0
            for tenant in TENANTS:
                for signal, body in zip(("traces", "logs"), world(tenant), strict=True):
                    position = send(service, signal, body, tenant)
            assert position == 12  # what is equal in both is no duplicate
            service.ask(f"/api/v1/tasks?min_position={position}&limit=1")
            yield service, sink


def send(service: Service, signal: str, body: bytes, tenant: str) -> int:
    """Send one request for a tenant; the position answered."""
    answer = httpx.post(
        f"http://{service.http}/v1/{signal}", content=body, trust_env=False, timeout=60,
        headers=of(tenant) | {"content-type": "application/x-protobuf"},
    )  # fmt: skip
    answer.raise_for_status()
    return int(answer.headers[names.POSITION_HEADER])


def get(service: Service, path: str, tenant: str, **parameters: Any) -> httpx.Response:
    """What a tenant is answered."""
    return httpx.get(
        f"http://{service.api}/api/v1/{path}", params=parameters, headers=of(tenant),
        trust_env=False, timeout=20,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("tenant", "other"), PAIRS)
def test_every_endpoint(told: tuple[Service, Sink], tenant: str, other: str) -> None:
    """No endpoint tells one tenant of the other; each sees all of its own."""
    service, _ = told
    (pattern,) = get(service, "errors", tenant).json()["items"]
    attempt = get(service, "attempts", tenant).json()["items"][0]["attempt_id"]
    known = {
        "task_id": "t", "trace_id": TRACE, "fingerprint": pattern["fingerprint"],
        "attempt_id": attempt,
    }  # fmt: skip
    for endpoint in ENDPOINTS:
        answer = get(service, endpoint.path.format(**known), tenant)
        assert answer.status_code == 200, answer.text
        assert other not in answer.text, endpoint.path
    trace = get(service, f"traces/{TRACE}", tenant).json()
    assert (len(trace["spans"]), len(trace["logs"]), len(trace["attempts"])) == (3, 2, 2)
    assert trace["final_status"] == "completed"
    assert tenant in get(service, "tasks/t", tenant).text
    (run,) = get(service, "runs", tenant, task="t").json()["items"]
    assert (run["attempts"], run["recovered"]) == (2, True)
    assert pattern["count"] == 1
    assert get(service, f"tasks/only-{other}", tenant).status_code == 404
    foreign = other.encode().ljust(16, b"\1").hex()
    assert get(service, f"traces/{foreign}", tenant).status_code == 404


@pytest.mark.slow
def test_cursors_belong_to_a_tenant(told: tuple[Service, Sink]) -> None:
    """A cursor of one tenant is refused from the other."""
    service, _ = told
    for path in ("tasks", "attempts", "history"):
        cursor = get(service, path, "north", limit=1).json()["next"]
        assert cursor
        assert get(service, path, "south", limit=1, cursor=cursor).status_code == 400
        assert get(service, path, "north", limit=1, cursor=cursor).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize(("tenant", "other"), PAIRS)
def test_the_live_stream(told: tuple[Service, Sink], tenant: str, other: str) -> None:
    """From the first event on, filtered or not, only the tenant's own come."""
    service, _ = told
    for query, expected in (("", 6), ("&task=t", 2), (f"&trace={TRACE}", 5), ("&kind=log", 2)):
        url = f"http://{service.api}/api/v1/events?after=0&heartbeat_s=0.3{query}"
        text = ""
        with httpx.stream("GET", url, headers=of(tenant), trust_env=False, timeout=20) as stream:
            for chunk in stream.iter_text():
                text += chunk
                if ": heartbeat" in text:
                    break
        assert text.count("\ndata: ") == expected, query
        assert other not in text


@pytest.mark.slow
@pytest.mark.parametrize(("tenant", "other"), PAIRS)
def test_the_command_line(told: tuple[Service, Sink], tenant: str, other: str) -> None:
    """Over HTTP and from the folder, with --tenant, it tells of one tenant only."""
    service, _ = told
    url, data = f"http://{service.api}", str(service.data)
    for command in (["tasks"], ["runs"], ["attempts"], ["errors"], ["stats"], ["trace", TRACE]):
        found = [
            run(*command, "--tenant", tenant, "--json", *where)
            for where in (["--url", url], ["--data", data])
        ]
        for text in found:
            assert other not in text, command
            assert tenant in text or command == ["stats"], command
        assert json.loads(found[0]).keys() == json.loads(found[1]).keys()


def run(*args: str) -> str:
    """What `spanledger …` prints."""
    found = subprocess.run(
        [*CLI, *args], capture_output=True, text=True, timeout=120, env=clean_environment(),
        check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_what_is_forwarded(told: tuple[Service, Sink]) -> None:
    """Each request to a target is of one tenant, named in its header."""
    _, sink = told
    until(lambda: len(sink.names()) >= 12)
    for tenant, other in PAIRS:
        own = [request for request in sink.taken if request.headers[names.TENANT_HEADER] == tenant]
        text = "".join(str(request.message) for request in own)
        assert sum(len(request.names()) for request in own) == 6
        assert tenant in text
        assert other not in text


@pytest.mark.slow
def test_the_log_tells_whose(told: tuple[Service, Sink], tmp_path: Path) -> None:
    """Every event in the log has its tenant, and equal content of two tenants has two ids."""
    service, _ = told
    lines = run("log", "read", "--data", str(service.data), "--json").splitlines()
    events = [json.loads(line) for line in lines]
    assert {event["tenant"] for event in events} == set(TENANTS)
    assert len({event["event_id"] for event in events}) == len(events) == 12
    for tenant, other in PAIRS:
        only = run("log", "read", "--data", str(service.data), "--json", "--tenant", tenant)
        assert len(only.splitlines()) == 6
        assert other not in only

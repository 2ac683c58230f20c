"""Two tenants with equal ids never meet: in no answer, cursor or stream."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from events import names
from events.schema import SpanEvent
from projections.endpoints import ENDPOINTS
from tests.api_service import serving
from tests.events import SECOND_NS, make_batch, make_exception, make_log, make_span, trace_id
from tests.views import make_folder

TENANTS = ("north", "south")
TRACE = trace_id(1 << 42)


def world(tenant: str) -> list[Any]:
    """The same ids for each tenant; only values that tell whose they are differ."""
    start_ns = time.time_ns() - 1800 * SECOND_NS  # some answers tell of the last hours only
    told = {names.TASK_EXECUTOR_ID: "w1", names.TASK_NAME: tenant, names.TASK_QUEUE: tenant}
    said = {"task.recovery.action": "reconnect", "task.recovery.outcome": "succeeded"}
    recovery = SpanEvent(start_ns, "task.recovery", said, 0)
    failed = make_span(
        task="t", run="r", attempt=1, trace_id=TRACE, span_id=b"\x01" * 8, status_code=2,
        start_ns=start_ns, attributes=told,
        events=[make_exception(message=f"the {tenant} failed"), recovery],
    )  # fmt: skip
    again = make_span(
        task="t", run="r", attempt=2, trace_id=TRACE, span_id=b"\x02" * 8,
        start_ns=start_ns + 10 * SECOND_NS, attributes=told,
    )  # fmt: skip
    log = make_log(trace_id=TRACE, span_id=b"\x02" * 8, body=f"log of {tenant}")
    own = make_span(task=f"only-{tenant}", start_ns=start_ns, attributes=told)
    unmatched = make_span(task=None, name=f"GET /{tenant}")
    return [failed, again, log, own, unmatched]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the API on the worlds of two tenants."""
    batches = [make_batch(world(tenant), tenant=tenant) for tenant in TENANTS]
    with serving(make_folder(tmp_path_factory.mktemp("tenants"), batches)) as client:
        yield client


def of(tenant: str) -> dict[str, str]:
    """The header that names a tenant."""
    return {names.TENANT_HEADER: tenant}


def ask(client: httpx.Client, path: str, tenant: str, **parameters: Any) -> Any:
    """What one tenant is answered."""
    answer = client.get(f"/api/v1/{path}", params=parameters, headers=of(tenant))
    assert answer.status_code == 200, answer.text
    return answer.json()


def paths(client: httpx.Client, tenant: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every endpoint with arguments that both tenants know, bare and filtered."""
    (pattern,) = ask(client, "errors", tenant)["items"]
    known = {
        "task_id": "t", "trace_id": TRACE.hex(), "fingerprint": pattern["fingerprint"],
        "attempt_id": ask(client, "attempts", tenant)["items"][0]["attempt_id"],
    }  # fmt: skip
    for endpoint in ENDPOINTS:
        path = endpoint.path.format(**known)
        yield path, {}
        fields = endpoint.asks.__struct_fields__
        for name, value in (("task", "t"), ("executor", "w1"), ("status", "completed"), ("q", "t")):
            if name in fields and not (path == "errors" and name == "q"):
                yield path, {name: value}
    yield "metrics/tasks", {"by": "executor"}
    yield "metrics/tasks", {"task": "t", "bucket": "hour"}
    yield "attempts", {"task": "t", "run": "r"}


@pytest.mark.parametrize(("tenant", "other"), [TENANTS, TENANTS[::-1]])
def test_no_answer_names_the_other_tenant(client: httpx.Client, tenant: str, other: str) -> None:
    """Every endpoint, bare and by each filter, tells of the asking tenant only."""
    for path, filters in paths(client, tenant):
        answer = ask(client, path, tenant, **filters)
        text = json.dumps(answer)
        assert other not in text, (path, filters)
        if path != "projections":
            assert answer.get("items", True), (path, filters)


def test_equal_ids_count_once_each(client: httpx.Client) -> None:
    """Each tenant sees its own two attempts, one run, one failure and one trace."""
    for tenant in TENANTS:
        assert len(ask(client, "attempts", tenant, task="t")["items"]) == 2
        assert len(ask(client, "runs", tenant, task="t")["items"]) == 1
        trace = ask(client, f"traces/{TRACE.hex()}", tenant)
        assert (len(trace["spans"]), len(trace["logs"]), len(trace["attempts"])) == (2, 1, 2)
        assert ask(client, "errors", tenant)["items"][0]["count"] == 1
        assert ask(client, "metrics/tasks", tenant, task="t")["items"][0]["executions"] == 2


def test_attempt_ids_differ(client: httpx.Client) -> None:
    """Even public ids of equal attempts are not shared."""
    ids = [
        {a["attempt_id"] for a in ask(client, "attempts", tenant)["items"]} for tenant in TENANTS
    ]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("path", ["tasks", "attempts", "history", "metrics/tasks"])
def test_a_cursor_of_another_tenant_is_refused(client: httpx.Client, path: str) -> None:
    """A cursor is bound to its tenant."""
    cursor = ask(client, path, "north", limit=1)["next"]
    answer = client.get(
        f"/api/v1/{path}", params={"limit": 1, "cursor": cursor}, headers=of("south")
    )
    assert answer.status_code == 400
    assert ask(client, path, "north", limit=1, cursor=cursor)["items"]


@pytest.mark.parametrize("path", ["tasks/only-north", "tasks/only-north/runs"])
def test_what_another_tenant_has_is_not_there(client: httpx.Client, path: str) -> None:
    """404, the same as for what nobody has."""
    assert client.get(f"/api/v1/{path}", headers=of("south")).status_code == 404
    assert client.get(f"/api/v1/{path}", headers=of("north")).status_code == 200


def test_an_unknown_tenant_sees_nothing(client: httpx.Client) -> None:
    """Empty lists, no error and no hint."""
    for path in ("tasks", "runs", "attempts", "errors", "metrics/tasks", "history"):
        assert ask(client, path, "nobody")["items"] == []
    assert client.get(f"/api/v1/traces/{TRACE.hex()}", headers=of("nobody")).status_code == 404


def test_a_stream_has_one_tenant(client: httpx.Client) -> None:
    """From the first event on, filtered or not, only the tenant's own events come."""
    for query in ("", "&task=t", f"&trace={TRACE.hex()}", "&kind=log"):
        with client.stream(
            "GET", f"/api/v1/events?after=0&heartbeat_s=0.2{query}", headers=of("south")
        ) as stream:
            text = ""
            for chunk in stream.iter_text():
                text += chunk
                if ": heartbeat" in text:
                    break
        assert "data: " in text
        assert "north" not in text

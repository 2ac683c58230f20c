"""Hostile questions to every endpoint: a documented answer of one shape, in time, never a 500."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_schema_validator import OAS31Validator

from projections.endpoints import ENDPOINTS
from tests.sending import send
from tests.serving import Service, serving

SLOWEST_S: Final = 15.0
"""The budget of a question and its longest wait are far below, also on a busy machine."""
PATHS: Final = sorted(
    ["log/head", "health/live", "health/ready", *(endpoint.path for endpoint in ENDPOINTS)]
)
EXAMPLES: Final = 40

Document = dict[str, Any]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Document]]:
    """A service with a few tasks, and its own description."""
    with serving(tmp_path_factory.mktemp("fuzz")) as service:
        send(service, ["t", "a/b", "", "ä", "x" * 300, *(f"task-{n}" for n in range(40))])
        yield service, service.ask("/openapi.json")


HOSTILE: Final = (
    b"", b"0", b"-1", b"1e309", b"NaN", b"null", b"true", b"'; DROP TABLE attempt; --", b"%",
    b"%00", b"\x00", b"\xff\xfe", b"../../etc/passwd", b"a" * 5000, b"9" * 30, b"1" * 4400,
    b"2026-02-30T00:00:00Z", b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00Z",
    b"2026-01-01T00:00:00+99:99", b"99999999999999999h", b"9999999d", b"live", b"*", b"_", b"[",
    b"{}", "\u202e\U0001f600\u0663".encode(), b"-started", b"eyJhIjoxfQ", b"AAAA", b"0x10",
    b"9223372036854775807", b"9223372036854775808", b"default", b"t",
)  # fmt: skip
hostile = st.one_of(
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=12),
    st.sampled_from(HOSTILE),
)


def values_of(parameter: Document) -> st.SearchStrategy[bytes]:
    """Values that the document allows, and others."""
    schema = parameter["schema"]
    allowed: list[st.SearchStrategy[str]] = []
    for part in schema.get("anyOf", [schema]):
        if "enum" in part:
            allowed.append(st.sampled_from([str(value) for value in part["enum"]]))
        elif part.get("type") in ("integer", "number"):
            low, high = int(part.get("minimum", 0)), int(part.get("maximum", 10))
            allowed.append(st.integers(low, high).map(str))
        elif part.get("type") == "boolean":
            allowed.append(st.sampled_from(["true", "false"]))
    if parameter["name"] == "wait_s":
        return st.sampled_from([b"0", b"0.1", b"-1", b"nan", b"1e9", b"x"])
    good = st.sampled_from(["t", "task-1", "1h", "2026-01-01T00:00:00Z", "default", "1", "started"])
    return st.one_of(st.one_of(*allowed, good).map(str.encode), hostile)


@st.composite
def questions(draw: st.DrawFn, path: str, item: Document) -> tuple[str, dict[str, str]]:
    """A target and its headers."""
    target = f"/api/v1/{path}"
    query: list[str] = []
    for parameter in item["get"]["parameters"]:
        name, place = parameter["name"], parameter["in"]
        if place == "path":
            known = st.sampled_from([b"t", b"a/b", b"0" * 32, b"\xc3\xa4", b"x" * 300])
            value = draw(st.one_of(known, hostile)) or b"t"
            target = target.replace(f"{{{name}}}", quote_from_bytes(value, safe=""))
        elif place == "query" and draw(st.integers(0, 3)) == 0:
            query.append(f"{name}={quote_from_bytes(draw(values_of(parameter)), safe='')}")
    if draw(st.integers(0, 9)) == 0:
        query.append(quote_from_bytes(draw(hostile), safe="=&"))
    headers = draw(st.dictionaries(
        st.sampled_from(["X-Scope-OrgID", "Authorization", "Accept", "If-None-Match", "Range"]),
        st.sampled_from(["default", "nobody", "a/b", "x" * 200, "Bearer x", "*/*", "é"]),
        max_size=2,
    ))  # fmt: skip
    return target + ("?" + "&".join(query) if query else ""), headers


def ask(
    service: Service, target: str, headers: dict[str, str], method: str = "GET"
) -> tuple[int, str, bytes]:
    """Status, content type and body, as they come."""
    host, _, port = service.api.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=SLOWEST_S)
    try:
        started_s = time.monotonic()
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert time.monotonic() - started_s < SLOWEST_S
        return answer.status, answer.headers.get("content-type", ""), body
    finally:
        connection.close()


def check_problem(status: int, kind: str, body: bytes) -> None:
    """An error has the one shape, and is no mistake of the service."""
    assert status < 500 or status == 503, (status, body)
    assert kind == "application/problem+json", (status, kind, body)
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem.keys() >= {"type", "title", "detail", "instance", "errors"}
    assert "Traceback" not in problem["detail"]


class Asking:
    """One endpoint of the service, whose answers are held against its description."""

    def __init__(self, asked: tuple[Service, Document], path: str) -> None:
        self._service, document = asked
        self.item: Document = document["paths"][f"/api/v1/{path}"]
        self._responses = self.item["get"]["responses"]
        schema = self._responses["200"]["content"]["application/json"]["schema"]
        self._validator = OAS31Validator({**schema, "components": document["components"]})

    def check(self, target: str, headers: dict[str, str]) -> None:
        """The status is documented and the body has the documented shape."""
        status, kind, body = ask(self._service, target, headers)
        assert str(status) in self._responses, (status, target, body)
        if status == 200:
            self._validator.validate(json.loads(body))
        else:
            check_problem(status, kind, body)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_each_parameter_with_each_hostile_value(asked: tuple[Service, Document], path: str) -> None:
    """Every value that is known to be awkward, for every parameter."""
    asking = Asking(asked, path)
    known = f"/api/v1/{path}"
    for name, value in (("task_id", "t"), ("trace_id", "0" * 32), ("fingerprint", "0" * 32)):
        known = known.replace(f"{{{name}}}", value)
    for parameter in asking.item["get"]["parameters"]:
        for value in (quote_from_bytes(value, safe="") for value in HOSTILE):
            if parameter["in"] == "query":
                asking.check(f"{known}?wait_s=0&{parameter['name']}={value}", {})
            elif parameter["in"] == "path" and value:
                place = f"{{{parameter['name']}}}"
                asking.check(f"/api/v1/{path.replace(place, value)}", {})


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_hostile_questions(asked: tuple[Service, Document], path: str) -> None:
    """Any mixture of good and bad parameters, paths and headers."""
    asking = Asking(asked, path)

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(questions(path, asking.item))
    def every(question: tuple[str, dict[str, str]]) -> None:
        asking.check(*question)

    every()
    assert "Traceback" not in asked[0].said()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
def test_other_methods(asked: tuple[Service, Document], method: str) -> None:
    """Nothing can be changed over the API: each method but GET is refused in the same shape."""
    service, _ = asked
    for path in ("tasks", "log/head", "events", "health/live", "nothing"):
        status, kind, body = ask(service, f"/api/v1/{path}", {}, method)
        if method == "OPTIONS" and status == 204:
            continue  # it tells which methods there are
        assert status in (404, 405), (method, path)
        if method != "HEAD":
            check_problem(status, kind, body)


@pytest.mark.slow
def test_hostile_streams(asked: tuple[Service, Document]) -> None:
    """The live tail refuses what it does not understand before it begins."""
    service, _ = asked
    for target, headers in (
        ("after=-1", {}), ("after=9" + "9" * 30, {}), ("kind=x", {}), ("trace=zz", {}),
        ("backlog=0", {}), ("heartbeat_s=nan", {}), ("x=1", {}), ("after=1&after=2", {}),
        ("", {"Last-Event-ID": "x"}), ("", {"Last-Event-ID": "9" * 19}),
        ("", {"X-Scope-OrgID": "a/b"}),
    ):  # fmt: skip
        status, kind, body = ask(service, f"/api/v1/events?{target}", headers)
        assert status == 400, (target, headers, body)
        check_problem(status, kind, body)

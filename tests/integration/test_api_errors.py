"""Every error of the API has one shape and says what was wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.tokens import TokenStore
from tests.api_service import serving
from tests.events import make_batch, make_span
from tests.views import make_folder

API = "/api/v1"
TRACE = "0" * 31 + "7"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the API on two attempts of two tasks."""
    spans = [make_span(task="a"), make_span(task="b")]
    with serving(make_folder(tmp_path_factory.mktemp("api"), [make_batch(spans)])) as client:
        yield client


def problem_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is, checked for its shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "instance", "errors"}
    assert problem["status"] == status
    assert problem["type"].startswith("urn:spanledger:problem:")
    assert problem["title"]
    assert problem["detail"]
    assert all(set(error) == {"parameter", "detail"} for error in problem["errors"])
    return problem


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api",
        "/api/v2/tasks",
        f"{API}/tasks/unheard",
        f"{API}/tasks/unheard/runs",
        f"{API}/tasks/a/b",
        f"{API}/tasks/a%00b",
        f"{API}/tasks/{'x' * 5000}",
        f"{API}/traces/{TRACE}",
        f"{API}/errors/{'0' * 32}",
        f"{API}/errors/{'0' * 32}/occurrences",
        f"{API}/errors/none",
        f"{API}/tasks?view=unheard",
    ],
)
def test_what_is_not_there_is_404(client: httpx.Client, path: str) -> None:
    """Unknown paths, ids and views."""
    problem = problem_of(client.get(path), 404)
    assert problem["instance"] == path.partition("?")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [f"{API}/tasks", "/metrics", f"{API}/events", "/"])
def test_another_method_is_405(client: httpx.Client, method: str, path: str) -> None:
    """The API only answers; `allow` says so."""
    answer = client.request(method, path)
    problem_of(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        (f"limit={'9' * 400}", "limit"),
        ("limit=", "limit"),
        ("cursor=", "cursor"),
        ("cursor=zzzz", "cursor"),
        ("cursor=%00", "cursor"),
        (f"cursor={'A' * 5000}", "cursor"),
        ("since=yesterday", "since"),
        ("since=", "since"),
        ("since=2026-13-01T00:00:00Z", "since"),
        ("since=2026-01-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("since=2026-01-01T25:00:00Z", "since"),
        ("until=99999-01-01T00:00:00Z", "until"),
        ("status=fine", "status"),
        ("status=FAILED", "status"),
        ("backfilled=maybe", "backfilled"),
        ("sort=duration", "sort"),
        ("sort=started;DROP TABLE run", "sort"),
        (f"q={'q' * 32_769}", "q"),
        ("q=", "q"),
        ("q=a%00b", "q"),
        (f"task={'t' * 32_769}", "task"),
        (f"q={'q' * 62_000}", "query"),
        ("q=%ff%fe", "query"),
        ("q=%ed%a0%80", "query"),
        ("limit=1&limit=2", "limit"),
        ("limt=1", "limt"),
        ("min_attempts=0", "min_attempts"),
        ("min_position=-1", "min_position"),
        ("min_position=abc", "min_position"),
        (f"min_position={'9' * 30}", "min_position"),
        ("wait_s=61", "wait_s"),
        ("wait_s=nan", "wait_s"),
        ("wait_s=-1", "wait_s"),
        ("view=../../etc/passwd", "view"),
        ("&".join(f"p{n}=1" for n in range(100)), "query"),
    ],
)
def test_bad_parameters_are_named(client: httpx.Client, query: str, parameter: str) -> None:
    """400, and `errors` names the parameter."""
    problem = problem_of(client.get(f"{API}/tasks?{query}"), 400)
    assert parameter in [error["parameter"] for error in problem["errors"]]


def test_every_bad_parameter_is_named_at_once(client: httpx.Client) -> None:
    """Nobody has to mend a question one parameter after the other."""
    problem = problem_of(client.get(f"{API}/runs?limit=0&status=x&since=y&zz=1"), 400)
    named = {error["parameter"] for error in problem["errors"]}
    assert named == {"limit", "status", "since", "zz"}


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/traces/xyz",
        f"{API}/traces/{TRACE[:-1]}",
        f"{API}/tasks/%ff",
        f"{API}/metrics/tasks?bucket=hour",
        f"{API}/metrics/tasks?since=2026-01-01T00:00:00Z",
        f"{API}/metrics/tasks?task=a&bucket=hour&executor=w",
        f"{API}/attempts?run=r1",
        f"{API}/projections?limit=1",
        f"{API}/log/head?x=1",
        f"{API}/health/ready?x=1",
        f"{API}/events?after=x",
        f"{API}/events?kind=metric",
        f"{API}/events?kind=span%0a",
        f"{API}/events?kind=acme.deployed%0a",
        f"{API}/attempts?view=x%0a",
        f"{API}/attempts?min_position=1%0a",
        f"{API}/events?trace=xy",
        f"{API}/events?backlog=0",
    ],
)
def test_questions_that_make_no_sense_are_400(client: httpx.Client, path: str) -> None:
    """Ids of a wrong shape, and parameters that need or exclude others."""
    assert problem_of(client.get(path), 400)["errors"]


def test_times_in_a_url_may_have_a_plain_plus(client: httpx.Client) -> None:
    """`+02:00` that was not encoded arrives as a space and is understood."""
    answer = client.get(f"{API}/tasks?since=2026-01-01T00:00:00+02:00")
    assert answer.status_code == 200


def test_a_position_beyond_the_head_is_400(client: httpx.Client) -> None:
    """Waiting for what was never appended would not help; the answer names the head."""
    problem = problem_of(client.get(f"{API}/tasks?min_position=3"), 400)
    assert (problem["type"], problem["position"]) == (
        "urn:spanledger:problem:position-beyond-head", "2",
    )  # fmt: skip
    problem_of(client.get(f"{API}/events?after=3"), 400)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("runs", ""),
        ("attempts", ""),
        ("tasks", "status=completed"),
        ("tasks", "sort=started"),
        ("history", ""),
        ("metrics/tasks", ""),
        ("tasks/a/runs", ""),
    ],
)
def test_a_cursor_fits_its_list_only(client: httpx.Client, path: str, query: str) -> None:
    """The cursor of one list, filter or order is refused by every other."""
    cursor = client.get(f"{API}/tasks?limit=1").json()["next"]
    problem = problem_of(client.get(f"{API}/{path}?{query}&cursor={cursor}"), 400)
    assert problem["errors"][0]["parameter"] == "cursor"
    assert client.get(f"{API}/tasks?cursor={cursor}").status_code == 200


def test_without_views_it_is_503(tmp_path: Path) -> None:
    """Nothing has been folded yet: try again."""
    with serving(tmp_path) as client:
        for path in ("tasks", "tasks/a", f"traces/{TRACE}", "projections", "log/head", "events"):
            answer = client.get(f"{API}/{path}")
            problem_of(answer, 503)
            assert int(answer.headers["retry-after"]) >= 1


def test_a_damaged_view_file_is_500(tmp_path: Path) -> None:
    """Damage is said to be damage, with no details of the machine but the file's name."""
    (tmp_path / "views.db").write_bytes(b"no database" * 1000)
    with serving(tmp_path) as client:
        problem = problem_of(client.get(f"{API}/tasks"), 500)
    assert problem["type"].endswith(":damaged")
    assert str(tmp_path) not in problem["detail"]


def test_tokens_open_the_doors(tmp_path: Path) -> None:
    """With tokens: none is 401, the wrong scope or tenant 403, health stays open."""
    data = make_folder(tmp_path, [make_batch([make_span()])])
    store = TokenStore(data / "tokens.json")
    reads, ingests = store.add("r", "read"), store.add("i", "ingest")
    acme = store.add("acme", "read", "acme")
    paths = [f"{API}/tasks", f"{API}/log/head", f"{API}/events?after=9", "/metrics"]
    with serving(data) as client:
        for path in paths:
            answer = client.get(path)
            problem_of(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
            problem_of(client.get(path, headers=bearer("spl_wrong")), 401)
            problem_of(client.get(path, headers=bearer(ingests)), 403)
        assert client.get(paths[0], headers=bearer(reads)).status_code == 200
        other = bearer(acme) | {"x-scope-orgid": "default"}
        problem_of(client.get(paths[0], headers=other), 403)
        assert client.get(paths[0], headers=bearer(acme)).json()["items"] == []
        for path in (f"{API}/health/live", f"{API}/health/ready", "/docs", "/openapi.json", "/"):
            assert client.get(path).status_code == 200
        assert "events in the log" not in client.get("/").text


@pytest.mark.parametrize("tenant", ["", "a b", "ä", "x" * 65, "../x", "a/b"])
def test_a_tenant_that_cannot_be_one_is_400(client: httpx.Client, tenant: str) -> None:
    """The header is checked before anything is read."""
    headers = {"x-scope-orgid": tenant.encode()}
    problem_of(client.get(f"{API}/tasks", headers=headers), 400)


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"authorization": f"Bearer {token}"}

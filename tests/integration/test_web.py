"""The pages over a real log and real folds: what they say, link, refuse and forbid."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urljoin

import httpx
import pytest

from events import names
from events.errors import BadSetting
from service.access import cookies
from service.access.tokens import TokenStore
from service.configuration.trace_links import trace_links
from tests.api_service import nobody_answers, serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_span, span_id
from tests.events import trace_id as trace_of
from tests.views import make_folder

ODD = "flow/ä?&#%2F ' \"<script>alert(1)</script>"
HTML = {"accept": "text/html"}
STACK = (
    'Traceback (most recent call last):\n  File "/app/shop/pay.py", line 7, in charge\n'
    '    post(order)\n  File "/usr/lib/python3/site-packages/http.py", line 9, in post\n'
    "    raise TimeoutError()\nTimeoutError: no answer"
)
PAGE_BYTES = 200_000
TRACE = trace_of(1 << 40).hex()
RUN = "/tasks/nightly/runs/r1"


def make_world() -> list[object]:
    """`nightly` fails, then recovers, each try says when the run was queued; a task with an odd id
    failed for good."""
    first = make_span(
        task="nightly", run="r1", attempt=1, trace_id=trace_of(1 << 40), status_code=2,
        events=[make_exception("TimeoutError", "no answer", STACK)],
        attributes={
            names.TASK_EXECUTOR_ID: "w1", names.TASK_NAME: "Nightly report",
            names.TASK_QUEUED_AT: BASE_NS - 2 * SECOND_NS,
        },
    )  # fmt: skip
    second = make_span(
        task="nightly", run="r1", attempt=2, trace_id=trace_of(1 << 40),
        start_ns=BASE_NS + 3 * SECOND_NS,
        attributes={
            names.TASK_EXECUTOR_ID: "w2", names.TASK_QUEUED_AT: BASE_NS - 2 * SECOND_NS,
        },
    )  # fmt: skip
    odd = make_span(task=ODD, run=ODD, status_code=2, start_ns=BASE_NS + 9 * SECOND_NS)
    shared = make_span(task=ODD, run="r1", start_ns=BASE_NS + 12 * SECOND_NS)
    return [first, second, odd, shared]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folded world."""
    batch = make_batch(make_world())  # type: ignore[arg-type]
    return make_folder(tmp_path_factory.mktemp("web"), [batch])


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A browser of the pages on the world."""
    with serving(data) as client:
        client.headers["accept"] = "text/html"
        yield client


class Parsed(HTMLParser):
    """Links, ids and inline code of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect them."""
        said = dict(attrs)
        if said.get("method") != "post":
            self.links += [said[n] or "" for n in ("href", "src", "action") if said.get(n)]
        if said.get("id"):
            self.ids.append(said["id"] or "")
        self.inline += [name for name in said if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and not said.get("src")):
            self.inline.append(tag)


def crawled(client: httpx.Client, start: str, most: int = 400) -> dict[str, httpx.Response]:
    """Every page that links lead to from a page, by its path."""
    found: dict[str, httpx.Response] = {}
    waiting = [start]
    while waiting and len(found) < most:
        path = waiting.pop(0)
        if path in found:
            continue
        answer = found[path] = client.get(path)
        if answer.headers.get("content-type", "").startswith("text/html"):
            base = str(client.base_url)
            waiting += [
                urljoin(path, link).partition("#")[0]
                for link in Parsed(answer.text).links
                if not link.startswith(("#", "http:", "https:")) and base
            ]
    return found


def test_every_link_leads_to_a_page(client: httpx.Client) -> None:
    """From the overview, whatever ids hold: nothing is missing, inline or too heavy."""
    pages = crawled(client, "/")
    wrong = {path: answer.status_code for path, answer in pages.items() if answer.is_error}
    assert not wrong
    shown = {p: a for p, a in pages.items() if a.headers["content-type"].startswith("text/html")}
    assert f"/tasks/{quote(ODD, safe='')}/runs/{quote(ODD, safe='')}" in shown
    for path, answer in shown.items():
        if path.startswith("/docs"):
            continue
        parsed = Parsed(answer.text)
        assert not parsed.inline, path
        assert len(parsed.ids) == len(set(parsed.ids)), path
        assert len(answer.content) <= PAGE_BYTES, path
        assert "<script>alert" not in answer.text, path


def test_a_page_allows_nothing_but_our_own_files(client: httpx.Client) -> None:
    """The policy forbids inline and foreign code; what a page shows is not kept."""
    headers = client.get("/tasks").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_files_are_kept_by_name(client: httpx.Client) -> None:
    """Their names change with their content, so browsers keep them; others are not there."""
    (style,) = re.findall(r'rel="stylesheet" href="([^"]+)"', client.get("/tasks").text)
    answer = client.get(urljoin("/tasks", style))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    assert client.get("/static/spanledger.css").status_code == 404
    assert client.get("/static/..%2fsite.py").status_code == 404


def test_a_run_shows_all_its_tries(client: httpx.Client) -> None:
    """The failed one stays, with its error, its time in the queue and the pause behind it."""
    page = client.get("/tasks/nightly/runs/r1").text
    assert "TimeoutError" in page
    assert 'class="wait"' in page
    assert 'class="backoff"' in page
    assert "Try 1 beside try 2" in page
    assert "recovered after a failure" in page


def test_a_wait_is_no_longer_than_the_pause_between_tries(client: httpx.Client) -> None:
    """A try that repeats when its run was queued waited from the end of the try before it."""
    (first, second) = re.findall(r'<a class="row"[^>]* title="([^"]*)"', client.get(RUN).text)
    assert "2.00 s in the queue" in first
    assert "queue" not in second
    assert "after the try before it" in second


def test_an_attempt_shows_its_stack_and_its_event(client: httpx.Client) -> None:
    """Own lines are marked, the failing one most; position and hash of the event are there."""
    (attempt,) = client.get("/api/v1/attempts?task=nightly&status=failed").json()["items"]
    page = client.get(f"/attempts/{attempt['attempt_id']}").text
    failing = re.findall(r'<li class="failing"[^>]*>([^<]*)<', page)
    assert [line.strip() for line in failing] == [
        "File &#34;/app/shop/pay.py&#34;, line 7, in charge", "post(order)",
    ]  # fmt: skip
    one = client.get(f"/api/v1/attempts/{attempt['attempt_id']}?task=nightly&run=r1").json()
    assert one["event_position"] == "1"
    assert one["span"]["attributes"][names.TASK_ID] == "nightly"
    assert one["segment_hash"] in page
    assert (one["previous"], bool(one["following"])) == (None, True)


def test_a_failure_says_what_to_do(client: httpx.Client) -> None:
    """Try and run tell of an error what its pattern tells: the rules' verdict and its advice."""
    (failed,) = client.get("/api/v1/attempts?task=nightly&status=failed").json()["items"]
    (lost,) = client.get("/api/v1/runs?status=failed").json()["items"]
    pages = {
        f"/attempts/{failed['attempt_id']}": failed["error"],
        f"/errors/{failed['error']['fingerprint']}": failed["error"],
        f"/tasks/{quote(ODD, safe='')}/runs/{quote(ODD, safe='')}": lost["error"],
    }
    for path, error in pages.items():
        page = unescape(client.get(path).text)
        assert f'<p class="strong">{error["suggestion"]}</p>' in page, path
        assert error["reason"] in page, path
        assert f"{error['severity']} severity" in page, path
        assert f">{error['category'].replace('_', ' ')}</span>" in page, path


def test_an_attempt_is_found_where_it_is_said_to_be(client: httpx.Client) -> None:
    """By its id alone, by its task, and not in another run."""
    (attempt,) = client.get("/api/v1/attempts?task=nightly&status=failed").json()["items"]
    path = f"/api/v1/attempts/{attempt['attempt_id'].upper()}"
    for query in ("", "?task=nightly", "?task=nightly&run=r1"):
        assert client.get(path + query).json()["attempt"] == 1
    for query in ("?task=nope", "?task=nightly&run=r2", f"?task={quote(ODD)}"):
        assert client.get(path + query, headers={"accept": "*/*"}).status_code == 404
    assert client.get(path + "?run=r1").status_code == 400


def test_a_run_id_of_several_tasks_is_a_choice(client: httpx.Client) -> None:
    """One leads to its page at once; several are listed."""
    several = client.get("/runs/r1")
    assert several.status_code == 200
    assert len(re.findall(r'class="badge', several.text)) == 2
    single = client.get(f"/runs/{quote(ODD, safe='')}")
    assert single.status_code == 303
    assert client.get("/runs/none").status_code == 404


@pytest.mark.parametrize(
    ("sought", "place"),
    [("nightly", "/tasks/nightly"), (TRACE, f"/traces/{TRACE}")],
)
def test_an_id_leads_to_its_page(client: httpx.Client, sought: str, place: str) -> None:
    """What is pasted into the search field is found by what it is."""
    answer = client.get("/search", params={"q": sought})
    assert answer.status_code == 303
    assert urljoin("/search", answer.headers["location"]) == place


def test_a_list_is_a_file_too(client: httpx.Client) -> None:
    """CSV with a line each; a text that begins like a formula is none."""
    answer = client.get("/attempts?format=csv")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert len(lines) == 5
    assert "error.message" in lines[0]


def test_an_age_is_a_time(client: httpx.Client) -> None:
    """`since=1h` works as in the terminal, and what is none is named."""
    assert "No such task" in client.get("/tasks?since=1h").text
    assert "nightly" in client.get("/tasks?since=2026-01-01").text
    wrong = client.get("/tasks?since=soon")
    assert wrong.status_code == 400
    assert "<code>since</code>" in wrong.text


@pytest.mark.parametrize("path", ["/tasks/none", "/attempts/zz", "/nowhere", "/tasks?nope=1"])
def test_a_problem_is_a_page_for_a_browser(client: httpx.Client, path: str) -> None:
    """It says what was wrong and what to do; a program gets the same as JSON."""
    page = client.get(path)
    assert page.status_code in (400, 404)
    assert "<h1>" in page.text
    problem = client.get(path, headers={"accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["status"] == page.status_code


def test_an_empty_folder_teaches(tmp_path: Path) -> None:
    """Before the first event each page says what it will show and how to send."""
    with serving(make_folder(tmp_path / "none", []), probe=nobody_answers) as client:
        client.headers["accept"] = "text/html"
        page = client.get("/").text
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in page
        assert "Not answering" in page
        assert "No task yet" in client.get("/tasks").text
    with serving(tmp_path, probe=nobody_answers) as client:
        assert "No views yet" in client.get("/", headers=HTML).text
        assert client.get("/tasks", headers=HTML).status_code == 503


def sign_in(client: httpx.Client, token: str, then: str = "tasks?q=a") -> httpx.Response:
    """What the sign-in form answers."""
    page = client.get("/tasks")
    (secret,) = re.findall(r'name="csrf" value="([^"]+)"', page.text)
    return client.post("/sign-in", data={"csrf": secret, "token": token, "next": then})


def test_a_token_is_given_once(tmp_path: Path) -> None:
    """Without one a page asks for it; then a cookie says it, until it is revoked."""
    data = make_folder(tmp_path, [make_batch([make_span(task="north-task")], tenant="north")])
    store = TokenStore(data / "tokens.json")
    token = store.add("me", "read")
    with serving(data) as client:
        client.headers["accept"] = "text/html"
        asked = client.get("/tasks")
        assert asked.status_code == 401
        assert 'type="password"' in asked.text
        assert sign_in(client, "spl_wrong").status_code == 401
        signed = sign_in(client, token)
        assert signed.status_code == 303
        kept = next(c for c in signed.headers.get_list("set-cookie") if cookies.TOKEN in c)
        assert "HttpOnly" in kept
        assert "SameSite=lax" in kept
        assert client.get("/tasks").status_code == 200
        assert client.get("/api/v1/tasks").status_code == 200
        (secret,) = re.findall(r'name="csrf" value="([^"]+)"', client.get("/").text)[:1]
        client.post("/tenant", data={"csrf": secret, "tenant": "north"})
        assert "north-task" in client.get("/tasks").text
        store.revoke("me")
        store.add("other", "read")
        assert client.get("/tasks").status_code == 401


def test_a_tenant_that_was_chosen_before_locks_nobody_out(tmp_path: Path) -> None:
    """Who signs in for one tenant sees that one, whichever the browser showed until then."""
    with serving(tmp_path) as client:
        client.headers["accept"] = "text/html"
        (secret,) = re.findall(r'name="csrf" value="([^"]+)"', client.get("/").text)[:1]
        client.post("/tenant", data={"csrf": secret, "tenant": "south"})
        token = TokenStore(tmp_path / "tokens.json").add("me", "read", "north")
        assert sign_in(client, token).status_code == 303
        assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "then", ["//evil.example", "https://evil.example", "\\evil", "javascript:x"]
)
def test_signing_in_leads_nowhere_else(tmp_path: Path, then: str) -> None:
    """A link that comes with the form stays below the start page."""
    token = TokenStore(tmp_path / "tokens.json").add("me", "read")
    with serving(tmp_path) as client:
        client.headers["accept"] = "text/html"
        assert sign_in(client, token, then).headers["location"] == "./"


def test_a_form_of_another_site_changes_nothing(tmp_path: Path) -> None:
    """Without the text that our page gave, or from another origin, it is refused."""
    with serving(tmp_path) as client:
        client.get("/", headers=HTML)
        assert client.post("/tenant", data={"tenant": "x"}).status_code == 403
        (secret,) = re.findall(r'name="csrf" value="([^"]+)"', client.get("/", headers=HTML).text)
        form = {"tenant": "x", "csrf": secret}
        foreign = {"origin": "https://evil.example"}
        assert client.post("/tenant", data=form, headers=foreign).status_code == 403
        assert client.post("/tenant", data=form).status_code == 303


def test_a_cookie_does_not_write(tmp_path: Path) -> None:
    """The API's writes want the header: a browser sends cookies for any page."""
    data = make_folder(tmp_path, [make_batch([make_span()])])
    token = TokenStore(data / "tokens.json").add("me", "write")
    with serving(data) as client:
        client.cookies.set(cookies.TOKEN, token)
        assert client.get("/api/v1/tasks").status_code == 200
        assert client.post("/api/v1/facts", json={}).status_code == 401


def test_the_theme_comes_with_the_page(client: httpx.Client) -> None:
    """A chosen one is in the first bytes; another word is none."""
    assert "data-theme" not in client.get("/tasks").text.partition("<body")[0]
    dark = client.get("/tasks", headers={"cookie": "spanledger_theme=dark"}).text
    assert 'data-theme="dark"' in dark
    odd = client.get("/tasks", headers={"cookie": "spanledger_theme=x"}).text
    assert "data-theme" not in odd.partition("<body")[0]


def test_a_trace_shows_its_spans_and_one_in_full(client: httpx.Client) -> None:
    """In tree order with errors in place; attributes and stack of the span that is chosen."""
    page = client.get(f"/traces/{TRACE}?span=1").text
    assert page.count('class="row') >= 4
    assert "task.executor.id" in page
    assert 'class="failing"' in page
    assert client.get(f"/traces/{TRACE}?from=x").status_code == 400


def test_an_error_pattern_is_two_clicks_from_its_failing_line(client: httpx.Client) -> None:
    """Overview, pattern; the failing line of its newest failure stands there."""
    overview = client.get("/").text
    (link, *_) = re.findall(r'href="([^"]*errors/[0-9a-f]{32})">TimeoutError', overview)
    page = client.get(urljoin("/", link)).text
    assert 'class="failing"' in page
    assert "Why these are one" in page


@pytest.mark.parametrize("compared", ["²", "9" * 5_000])
def test_a_try_that_is_no_number_is_not_compared(client: httpx.Client, compared: str) -> None:
    """Then the last two are, as without one."""
    items = client.get("/api/v1/runs").json()["items"]
    run = next(item for item in items if item["attempts"] > 1)
    page = f"/tasks/{quote(run['task_id'], safe='')}/runs/{quote(run['run_id'], safe='')}"
    assert client.get(page, params={"compare": compared}, headers=HTML).status_code == 200


@pytest.mark.parametrize("limit", ["²", "9" * 5_000])
def test_a_limit_that_is_none_is_told(client: httpx.Client, limit: str) -> None:
    """As the reader's mistake, not ours."""
    assert client.get("/tasks", params={"limit": limit}, headers=HTML).status_code == 400


@pytest.mark.parametrize("chosen", ["²", "9" * 5_000, "-1", "x"])
def test_a_failure_that_is_no_number_is_the_first(client: httpx.Client, chosen: str) -> None:
    """Whatever stands in the address of an error pattern's page."""
    (item,) = client.get("/api/v1/errors", params={"limit": 1}).json()["items"]
    page = f"/errors/{item['fingerprint']}"
    assert client.get(page, params={"n": chosen}, headers=HTML).status_code == 200


def test_a_large_trace_is_that_of_its_folder(tmp_path: Path) -> None:
    """What is kept of a trace is not shown for another data folder of the same process."""
    for name in ("first", "second"):
        spans = [
            make_span(trace_id=trace_of(7), span_id=span_id(n + 1), name=f"{name} {n}")
            for n in range(500)
        ]
        data = make_folder(tmp_path / name, [make_batch(spans)])
        with serving(data) as client:
            shown = client.get(f"/traces/{trace_of(7).hex()}", headers=HTML).text
        assert f"{name} 0" in shown


def test_traces_link_to_other_tools(data: Path) -> None:
    """As the setting says; one that names no place for the id is refused at the start."""
    links = ("Jaeger=http://jaeger.example/trace/{trace_id}",)
    with serving(data, trace_links=links) as client:
        (failed,) = client.get("/api/v1/attempts?task=nightly&status=failed").json()["items"]
        for path in (
            f"/traces/{TRACE}",
            "/tasks/nightly/runs/r1",
            f"/attempts/{failed['attempt_id']}",
        ):
            page = client.get(path, headers=HTML).text
            assert f'href="http://jaeger.example/trace/{TRACE}"' in page, path
    for wrong in ("http://x/{trace_id}", "J=javascript:{trace_id}", "J=http://x/"):
        with pytest.raises(BadSetting, match="--trace-links"):
            trace_links([wrong])


def test_a_chart_is_told_in_text(client: httpx.Client) -> None:
    """Each bucket stands in a list for those who do not see the columns."""
    page = client.get("/tasks/nightly", headers=HTML).text
    assert re.search(r'<ul class="sr"><li>[^<]*: 1 succeeded, 1 failed', page)


def test_a_refused_search_keeps_its_words(client: httpx.Client) -> None:
    """They stand in the field of the page that says what was wrong."""
    page = client.get("/search", params={"q": "colour:red"}, headers=HTML).text
    assert 'value="colour:red"' in page


def test_a_search_finds_attempts(client: httpx.Client) -> None:
    """By words, fields and their negation; what is no search is refused with its reason."""
    found = client.get("/search", params={"q": "status:failed AND error:answer"}).text
    assert found.count('class="badge') == 1
    listed = client.get("/api/v1/attempts", params={"search": "NOT status:failed executor:w2"})
    assert [item["attempt"] for item in listed.json()["items"]] == [2]
    wrong = client.get("/search", params={"q": "colour:red failed"})
    assert wrong.status_code == 400
    assert "is no field" in wrong.text

"""Who may ask for what, by which name, and behind which proxy."""

import http.client
import json
import re
import socket
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import urljoin

import httpx
import pytest
from typer.testing import CliRunner

from service.access.tokens import TokenStore
from service.cli.main import app
from tests.api_service import serving
from tests.events import make_batch, make_span
from tests.views import make_folder

LIVE = "/api/v1/health/live"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with one attempt of each of two tenants."""
    batches = [make_batch([make_span(task=name)], tenant=name) for name in ("north", "south")]
    return make_folder(tmp_path, batches)


def answered(client: httpx.Client, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to a request as bytes."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), 10) as peer:
        peer.sendall(request)
        answer = http.client.HTTPResponse(peer)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize("path", [LIVE, "/", "/docs", "/metrics", "/api/v1/tasks", "/nowhere"])
def test_a_page_with_our_address_gets_nothing(data: Path, path: str) -> None:
    """A foreign host is refused everywhere, with its name and the setting."""
    with serving(data) as client:
        answer = client.get(path, headers={"host": "attacker.example"})
        assert answer.status_code == 421
        problem = answer.json()
        assert problem["type"] == "urn:spanledger:problem:unknown-host"
        assert "'attacker.example'" in problem["detail"]
        assert "--allowed-hosts" in problem["detail"]
        assert client.get(LIVE, headers={"host": "LOCALHOST.:99"}).status_code == 200


def test_hosts_are_allowed_by_setting_or_by_tokens(data: Path) -> None:
    """A name that is set is answered; with a token made, any is."""
    with serving(data, allowed_hosts=("ops.example",)) as client:
        assert client.get(LIVE, headers={"host": "ops.example"}).status_code == 200
        assert client.get(LIVE, headers={"host": "other.example"}).status_code == 421
    with serving(data) as client:
        assert client.get(LIVE, headers={"host": "other.example"}).status_code == 421
        TokenStore(data / "tokens.json").add("a", "read")
        assert client.get(LIVE, headers={"host": "other.example"}).status_code == 200


def test_a_foreign_host_waits_while_the_tokens_cannot_be_read(data: Path) -> None:
    """Whether any host is right depends on them; loopback names don't."""
    with serving(data) as client:
        (data / "tokens.json").write_text("{")
        assert client.get(LIVE, headers={"host": "ops.example"}).status_code == 503
        assert client.get(LIVE).status_code == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET %b HTTP/1.1\r\nhost: localhost\r\n", 200),
        (b"GET %b HTTP/1.1\r\n", 400),
        (b"GET %b HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n", 400),
        (b"GET %b HTTP/1.1\r\nhost: localhost\r\nHost: attacker.example\r\n", 400),
        (b"GET %b HTTP/1.1\r\nhost:\r\n", 421),
        (b"GET %b HTTP/1.0\r\n", 200),
        (b"GET http://attacker.example%b HTTP/1.1\r\nhost: localhost\r\n", 421),
        (b"GET http://localhost%b HTTP/1.1\r\nhost: attacker.example\r\n", 200),
        (b"GET http://localhost%b HTTP/1.1\r\n", 200),
    ],
)  # fmt: skip
def test_the_host_is_what_the_request_says(data: Path, head: bytes, status: int) -> None:
    """One Host header; a target that is a whole URL says the host instead."""
    with serving(data) as client:
        request = head % LIVE.encode() + b"connection: close\r\n\r\n"
        assert answered(client, request)[0] == status


def test_a_bound_token_sees_its_tenant_only(data: Path) -> None:
    """What tells of all tenants is refused, or left out, with a word on what is needed."""
    store = TokenStore(data / "tokens.json")
    bound = {"authorization": f"Bearer {store.add('a', 'read', 'north')}"}
    free = {"authorization": f"Bearer {store.add('b', 'read')}"}
    with serving(data) as client:
        for path in ("/metrics", "/api/v1/log/head"):
            refused = client.get(path, headers=bound)
            assert refused.status_code == 403
            assert "scope read or admin that is bound to no tenant" in refused.json()["detail"]
            assert client.get(path, headers=free).status_code == 200
        told = client.get("/api/v1/projections", headers=bound).json()["items"]
        assert {item["dead_letters"] for item in told} == {None}
        hidden = ("lag_events", "failure", "committed_at")
        assert {item[field] for item in told for field in hidden} == {None}
        assert client.get("/api/v1/projections", headers=bound).json()["head"] is None
        assert client.get("/api/v1/projections", headers=free).json()["head"] != "0"
        told = client.get("/api/v1/projections", headers=free).json()["items"]
        assert {item["dead_letters"] for item in told} == {0}
        options = ["--url", str(client.base_url), "--token", bound["authorization"][7:], "--json"]
        shown = CliRunner().invoke(app, ["status", *options])
        assert (shown.exit_code, json.loads(shown.stdout)["head"]) == (0, {})
        assert "bound to no tenant is needed" in json.loads(shown.stdout)["problems"][0]
        page = client.get("/", headers=bound).text
        assert "tenant north" in page
        waiting = re.compile(r"\d+ of \S+ events? wait")
        assert not waiting.search(page)
        assert waiting.search(client.get("/", headers=free).text)


class Proxy(BaseHTTPRequestHandler):
    """What a web server in front does: `prefix` is ours, all else another application's."""

    prefix: ClassVar[str] = ""
    cuts: ClassVar[bool] = True
    tells: ClassVar[bool] = True
    api: ClassVar[httpx.Client]

    def do_GET(self) -> None:
        """Pass on what is below the prefix."""
        if not f"{self.path}/".startswith(f"{self.prefix}/"):
            self.send_error(404)
            return
        path = self.path[len(self.prefix) :] or "/" if self.cuts else self.path
        told = {"x-forwarded-prefix": self.prefix} if self.tells else {}
        headers = {**told, "x-forwarded-host": "ops.example", "x-forwarded-proto": "https"}
        answer = self.api.get(path, headers=headers)
        self.send_response(answer.status_code)
        for name in ("content-type", "location"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Links(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what leads elsewhere, but for forms that change something."""
        if ("method", "post") in attrs:
            return
        self.found += [
            value for name, value in attrs
            if name in ("href", "src", "action") and value and not value.startswith("#")
        ]  # fmt: skip


def links(page: str) -> Iterator[str]:
    """All links of a page."""
    parser = Links()
    parser.feed(page)
    assert parser.found
    yield from parser.found


@pytest.mark.parametrize(
    ("cuts", "tells", "root"),
    [(True, True, ""), (False, True, ""), (True, False, "/ops/sl"), (False, False, "/ops/sl/")],
)
def test_links_lead_back_through_a_proxy(data: Path, cuts: bool, tells: bool, root: str) -> None:
    """Behind a prefix, told by header or setting, cut off or not, with and without a slash."""
    with serving(data, root_path=root) as client:
        handler = type("Handler", (Proxy,), {"prefix": "/ops/sl", "cuts": cuts, "tells": tells})
        handler.api = client
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=proxy.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{proxy.server_port}/ops/sl"
        try:
            with httpx.Client(trust_env=False, follow_redirects=True) as browser:
                for page in ("", "/", "/docs", "/docs/"):
                    shown = browser.get(base + page)
                    assert shown.status_code == 200, page
                    for link in links(shown.text):
                        assert browser.get(urljoin(str(shown.url), link)).status_code == 200, link
                welcome = browser.get(f"{base}/").text
                assert "curl -N https://ops.example/ops/sl/api/v1/events" in welcome
                document = browser.get(f"{base}/openapi.json").json()
                assert document["servers"] == [{"url": "/ops/sl"}]
                problem = browser.get(f"{base}/api/v1/tasks/none").json()
                assert problem["instance"] == "/ops/sl/api/v1/tasks/none"
        finally:
            proxy.shutdown()
            proxy.server_close()

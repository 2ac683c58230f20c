"""`--url`: what the command line makes of the answers, refusals and silence of a service."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from events.errors import BadInput, NotFound, SpanledgerError, Unavailable
from projections.endpoints import path_of
from service.cli.output.exits import Failed, exit_code
from service.cli.source.remote import RemoteSource
from tests.ports import free_port


class Service(ThreadingHTTPServer):
    """Answers every GET with what the test put there, and remembers what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.asked: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def will_answer(self, status: int, body: Any) -> None:
        """The next answers."""
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    """A service on a free port."""
    server = Service()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_filters_become_parameters_and_credentials_headers(service: Service) -> None:
    """Only filters that are set are sent; ids are quoted; token and tenant go as headers."""
    source = RemoteSource(service.url, token="secret", tenant="acme")
    source.ask(
        path_of("errors", "a b/.."),
        {"task": "nightly/1&2", "backfilled": True, "q": None, "limit": 5},
    )
    path, headers = service.asked[0]
    assert path == "/api/v1/errors/a%20b%2F..?task=nightly%2F1%262&backfilled=true&limit=5"
    assert headers["authorization"] == "Bearer secret"
    assert headers["x-scope-orgid"] == "acme"


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service of this machine is reached whatever proxy is set."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert RemoteSource(service.url, token=None, tenant=None).ask("tasks", {}) == {}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, Failed, 1),
        (400, BadInput, 2),
        (401, Failed, 1),
        (403, Failed, 1),
        (404, NotFound, 3),
        (429, Unavailable, 4),
        (500, Failed, 1),
        (503, Unavailable, 4),
    ],
)
def test_each_refusal_has_its_error_and_exit_code(
    service: Service, status: int, kind: type[SpanledgerError], code: int
) -> None:
    """The service's own words are told, and the status decides the exit code."""
    service.will_answer(status, {"title": "No", "detail": "because of the test"})
    source = RemoteSource(service.url, token=None, tenant=None)
    with pytest.raises(kind, match="because of the test") as caught:
        source.ask("tasks", {})
    assert exit_code(caught.value) == code


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff"])
def test_what_is_no_answer_of_ours_is_said(service: Service, body: bytes) -> None:
    """Something else on that port is recognised."""
    service.will_answer(200, body)
    with pytest.raises(Failed, match="API port"):
        RemoteSource(service.url, token=None, tenant=None).ask("tasks", {})


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    """A refused connection names the address."""
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=url):
        RemoteSource(url, token=None, tenant=None).ask("tasks", {})


def test_a_service_that_hangs_up_is_unavailable() -> None:
    """A connection closed without an answer is no crash."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(Unavailable):
            RemoteSource(url, token=None, tenant=None).ask("tasks", {})


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://host:port"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """A bad --url is a usage error."""
    with pytest.raises(BadInput, match="write http"):
        RemoteSource(url, token=None, tenant=None)


def test_watching_goes_on_while_the_service_is_away(service: Service) -> None:
    """`--watch --json` tells on standard error that nothing answers, and then writes on."""
    service.will_answer(200, {"items": [], "next": None, "position": "1", "complete": True})
    words = ["tasks", "--watch", "--every", "0.2", "--json", "--url", service.url]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "service.cli.main", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = threading.Timer(60, process.kill)
    deadline.start()
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    service.will_answer(503, {"detail": "draining"})
    assert "draining" in process.stderr.readline()
    service.will_answer(200, {"items": [], "next": None, "position": "2", "complete": True})
    while '"position": "2"' not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    deadline.cancel()


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of ending with an error of a library."""
    monkeypatch.setenv("http_proxy", "nonsense://proxy:1")
    with pytest.raises(BadInput, match="proxy"):
        RemoteSource("http://spanledger.example:8000", token=None, tenant=None)


def test_a_proxy_of_the_environment_is_asked_for_other_machines(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless NO_PROXY names the machine."""
    monkeypatch.setenv("http_proxy", service.url)
    source = RemoteSource("http://spanledger.example:8000", token=None, tenant=None)
    assert source.ask("tasks", {}) == {}
    assert service.asked[0][0] == "http://spanledger.example:8000/api/v1/tasks"
    monkeypatch.setenv("no_proxy", "spanledger.invalid")
    with pytest.raises(Unavailable):
        RemoteSource("http://spanledger.invalid", token=None, tenant=None).ask("tasks", {})


def test_questions_of_files_load_no_http_client() -> None:
    """The command line starts as fast as ever."""
    program = "import sys, service.cli.commands.status; print('httpx' in sys.modules)"
    words = [sys.executable, "-P", "-c", program]
    assert subprocess.run(words, capture_output=True, check=True).stdout.strip() == b"False"

"""The forms of the ledger's page: what they ask for, of whom, and who may."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from events import names
from events.log.head import HeadFile, read_head
from service.access import cookies
from service.access.tokens import TokenStore
from service.control.projector import Operations, build_projector
from service.control.socket import ControlServer, socket_path
from tests.api_service import serving
from tests.events import make_batch, make_span
from tests.views import make_folder

HTML = {"accept": "text/html"}
PATIENCE_S = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    ends = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)


def page(client: httpx.Client) -> str:
    """The ledger's page, its spaces made one."""
    answer = client.get("/ledger", headers=HTML)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def send(client: httpx.Client, action: str, **fields: str) -> httpx.Response:
    """Send one of the page's forms."""
    secrets = set(re.findall(r'name="csrf" value="([^"]+)"', page(client)))
    form = {"csrf": secrets.pop() if secrets else "", **fields}
    return client.post(f"/ledger/{action}", data=form, headers=HTML)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folded log of two segments."""
    return make_folder(tmp_path, [make_batch([make_span(task=f"t{n}")]) for n in range(2)])


@pytest.fixture
def client(data: Path) -> Iterator[httpx.Client]:
    """A browser, while no role but the API runs."""
    with serving(data) as client:
        yield client


@pytest.fixture
def projector(data: Path) -> Iterator[Any]:
    """A projector that answers on its control socket."""
    found = build_projector(data, 3600.0)
    server = ControlServer(socket_path(data, "projector"), Operations(found).handlers())
    server.start()
    yield found
    server.close()
    found.close()


def test_the_newest_segments_are_shown(client: httpx.Client) -> None:
    """With positions and the whole hash, newest first."""
    text = page(client)
    head = client.get("/api/v1/log/head").json()
    assert head["hash"] in text.partition('aria-label="Segments')[2]
    assert text.index("2 – 2") < text.index("1 – 1")


def test_the_log_is_verified(client: httpx.Client, data: Path) -> None:
    """The page tells by whom, and that all is as it was appended."""
    assert send(client, "verify").status_code == 303
    until(lambda: "as appended" in page(client))
    assert "2 events in 2 segments" in page(client)
    assert f"by {names.ACTOR_LOCAL}" in page(client)


def test_damage_is_found(client: httpx.Client, data: Path) -> None:
    """The head that was on record lies behind the log's end: it was shortened."""
    recorded = read_head(data)
    assert recorded is not None
    with closing(HeadFile(data)) as file:
        file.write(recorded.log_id, recorded.position + 5, recorded.hash)
    assert send(client, "verify").status_code == 303
    until(lambda: "damaged" in page(client))


def test_a_rebuild_is_asked_of_the_projector(client: httpx.Client, projector: Any) -> None:
    """It runs there, and the page tells when it is done."""
    assert send(client, "rebuild", projection="").status_code == 303
    until(lambda: not (projector.rebuild_status() or {"running": True})["running"])
    assert projector.rebuild_status()["failure"] is None
    until(lambda: "</svg>done</span>" in page(client))


def test_a_paused_projection_is_resumed(client: httpx.Client, projector: Any) -> None:
    """By the button beside it."""
    assert send(client, "pause", projection="attempts").status_code == 303
    projector.step()
    until(lambda: "ledger/resume" in page(client))
    assert send(client, "resume", projection="attempts").status_code == 303
    assert not projector.paused


def test_without_a_projector_the_page_says_so(client: httpx.Client) -> None:
    """Nothing is asked of it; a form that comes all the same is answered 503."""
    assert "The projector does not answer" in page(client)
    assert send(client, "rebuild").status_code == 503


def test_what_is_no_action_is_refused(client: httpx.Client) -> None:
    """So is a number that is none, and a form that is not of our page."""
    assert send(client, "erase").status_code == 400
    assert send(client, "discard").status_code == 400
    assert send(client, "discard", id="x").status_code == 400
    foreign = HTML | {"origin": "https://elsewhere.example"}
    assert client.post("/ledger/verify", data={"csrf": "x"}, headers=foreign).status_code == 403


def test_only_an_administrator_of_all_may(data: Path) -> None:
    """Neither a reader or writer, nor who is bound to one tenant."""
    store = TokenStore(data / "tokens.json")
    tokens = [
        store.add("reader", "read"), store.add("writer", "write"),
        store.add("bound", "admin", "default"), store.add("root", "admin"),
    ]  # fmt: skip
    with serving(data) as client:
        answers = []
        for token in tokens:
            client.cookies.clear()
            client.cookies[cookies.TOKEN] = token
            client.cookies[cookies.FORM] = "y" * 43
            form = {"csrf": "y" * 43}
            answers.append(client.post("/ledger/verify", data=form, headers=HTML).status_code)
        assert answers == [403, 403, 403, 303]
        until(lambda: "as appended" in page(client))
        assert "by root" in page(client)

"""The form on an error's page: decisions by a browser are those of the API."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from events.log.reader import open_reader
from projections.assembly import make_folds
from projections.engine.projector import Projector
from service.access import cookies
from service.access.tokens import TokenStore
from tests.api_service import serving
from tests.events import make_batch, make_exception, make_span
from tests.writers import Writer

HTML = {"accept": "text/html"}


class Browser:
    """A browser on the page of the one error, while a projector follows the log."""

    def __init__(self, writer: Writer, client: httpx.Client) -> None:
        self.writer, self.client = writer, client

    def fold(self) -> None:
        """Let the views see all that was written."""
        data = self.writer.data
        with closing(Projector(data, lambda: open_reader(data), make_folds)) as projector:
            while projector.step():
                pass

    def path(self, **headers: str) -> str:
        """Of the error's page."""
        answer = self.client.get("/api/v1/errors", headers=headers)
        return f"/errors/{answer.json()['items'][0]['fingerprint']}"

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send the page's form; the projector works meanwhile, as in a service."""
        page = self.client.get(path, headers=HTML).text
        (secret,) = set(re.findall(r'name="csrf" value="([^"]+)"', page))
        with ThreadPoolExecutor(1) as pool:
            form = {"csrf": secret, **fields}
            sent = pool.submit(self.client.post, f"{path}/triage", data=form, headers=HTML)
            while not sent.done():
                self.fold()
            return sent.result()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    writer = Writer(tmp_path)
    event = make_exception("ValueError", "bad order")
    failed = make_span(task="t", run="r1", attempt=1, status_code=2, events=[event])
    writer.door.append(make_batch([failed]))
    with serving(tmp_path) as client:
        browser = Browser(writer, client)
        browser.fold()
        yield browser
    writer.close()


def test_a_form_decides_as_the_api_does(browser: Browser) -> None:
    """One fact with all that was changed; the page that follows shows it and who said so."""
    path = browser.path()
    sent = browser.send(path, action="resolve", note="mended <b>", owner="carol", until="")
    assert sent.status_code == 303, sent.text
    (fact,) = browser.writer.facts()
    assert fact.payload == {"action": "resolve", "note": "mended <b>", "owner": "carol"}
    assert fact.actor == "local"
    page = browser.client.get(path, headers=HTML).text
    assert 'value="carol"' in page
    assert "mended &lt;b&gt;</textarea>" in page
    assert '<span class="strong">local</span> resolved it' in page
    assert 'value="reopen"' in page


def test_what_is_left_as_it_is_is_not_said_again(browser: Browser) -> None:
    """The fields of a form come always; only changed ones become facts, and none is refused."""
    path = browser.path()
    browser.send(path, note="seen", owner="", until="")
    browser.send(path, action="ignore", note="seen", owner="", until="2126-01-31")
    first, second = browser.writer.facts()
    assert first.payload == {"note": "seen"}
    assert set(second.payload) == {"action", "until_ns"}
    assert browser.send(path, note="seen", owner="", until="2126-01-31").status_code == 400
    assert browser.send(path, action="close").status_code == 400
    assert browser.send(path, action="ignore", until="tomorrow").status_code == 400
    assert len(browser.writer.facts()) == 2


def test_only_our_own_page_may_decide(browser: Browser) -> None:
    """Without the page's secret, from another site, or of no error: nothing is written."""
    path = f"{browser.path()}/triage"
    form = {"csrf": "x" * 43, "action": "resolve"}
    assert browser.client.post(path, data=form, headers=HTML).status_code == 403
    foreign = HTML | {"origin": "https://elsewhere.example"}
    assert browser.client.post(path, data=form, headers=foreign).status_code == 403
    secret = browser.client.cookies[cookies.FORM] = "y" * 43
    known = {"csrf": secret, "action": "resolve"}
    nowhere = browser.client.post(f"/errors/{'0' * 32}/triage", data=known, headers=HTML)
    assert nowhere.status_code == 404
    assert browser.writer.facts() == []


def test_a_decision_needs_a_token_that_writes(browser: Browser) -> None:
    """A reader's cookie is refused; a writer's decides, under the name of its token."""
    store = TokenStore(browser.writer.data / "tokens.json")
    reads, writes = store.add("reader", "read"), store.add("dora", "write")
    path = browser.path(authorization=f"Bearer {reads}")
    browser.client.cookies[cookies.TOKEN] = reads
    refused = browser.send(path, action="resolve")
    assert refused.status_code == 403
    assert "scope" in refused.text
    browser.client.cookies[cookies.TOKEN] = writes
    assert browser.send(path, action="resolve").status_code == 303
    (fact,) = browser.writer.facts()
    assert fact.actor == "dora"

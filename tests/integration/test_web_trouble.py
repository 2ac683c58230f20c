"""Pages in trouble: what is missing, late, extreme or not there is said, with a way on."""

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from events.log.door import GroupDoor
from projections.queries import Queries
from projections.storage.generation import connect_reader
from service.web.pulse import Pulse
from tests.api_service import nobody_answers, serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_span
from tests.views import make_folder

LONG = "very-long-name-" * 40
STACK = "Traceback (most recent call last):\n" + "".join(
    f'  File "/app/deep{n}.py", line {n}, in dive\n    dive()\n' for n in range(30)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 250 tries, and one of an extreme try."""
    spans = [
        make_span(task="storm", run="s", attempt=n + 1, start_ns=BASE_NS + n * SECOND_NS)
        for n in range(250)
    ]  # fmt: skip
    error = make_exception("DeepError", "m" * 5_000, f"{STACK}DeepError: m")
    spans.append(make_span(task=LONG, run=LONG, status_code=2, events=[error]))
    spans.append(make_span(task="back.in.time", start_ns=BASE_NS, end_ns=BASE_NS - SECOND_NS))
    return make_folder(tmp_path_factory.mktemp("trouble"), [make_batch(spans)])


@pytest.fixture(scope="module")
def client(data: Path) -> Iterator[httpx.Client]:
    """A browser on it."""
    with serving(data) as client:
        client.headers["accept"] = "text/html"
        yield client


@pytest.mark.parametrize(
    ("path", "way_on"),
    [
        ("/tasks/storm.x", "tasks?q=storm"),
        ("/tasks/storm/runs/none", "tasks/storm"),
        ("/runs/none", "search?q=none"),
        ("/errors/none", "errors"),
        ("/attempts/none", "attempts"),
        (f"/attempts/{'0' * 32}", f"search?q={'0' * 32}"),
        ("/traces/none", "search?q=none"),
        (f"/traces/{'f' * 32}", f"search?q={'f' * 32}"),
    ],
)
def test_an_unknown_id_leads_on(client: httpx.Client, path: str, way_on: str) -> None:
    """The page that says so links to a search for it, or to others of its kind."""
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    leads = [
        str(answer.url.join(href)) for href in re.findall(r'<li><a href="([^"]+)', answer.text)
    ]
    assert str(client.base_url.join(f"/{way_on}")) in leads


def test_the_last_tries_of_many_are_a_click_away(client: httpx.Client) -> None:
    """A run of more tries than a page shows leads to its last ones, and back."""
    first = client.get("/tasks/storm/runs/s").text
    assert "Tries 1 to 200 of 250" in first
    last = client.get("/tasks/storm/runs/s?sort=-started").text
    assert ">Last tries</a>" in first
    assert "Tries 51 to 250 of 250" in last
    assert "Try 249 beside try 250" in last.replace("\n", " ")
    assert ">First tries</a>" in last


def test_extremes_stay_in_their_bounds(client: httpx.Client) -> None:
    """Long names are cut in headings, a long message scrolls, a long stack has a link to the line
    that failed, and time that ran back is explained."""
    page = client.get(f"/tasks/{LONG}/runs/{LONG}").text
    (heading,) = re.findall(r"<h1[^>]*>([^<]*)</h1>", page)
    assert len(heading) == 200
    (attempt,) = client.get("/api/v1/attempts?status=failed").json()["items"]
    page = client.get(f"/attempts/{attempt['attempt_id']}").text
    assert 'class="message long" tabindex="0"' in page
    assert page.count('id="failing"') == page.count('href="#failing"') == 1
    assert "two clocks differ" in client.get("/tasks/back.in.time").text


@pytest.mark.parametrize("path", ["/", "/live", "/ledger"])
def test_what_does_not_answer_is_named(data: Path, path: str) -> None:
    """On the pages where one looks when nothing moves."""
    with serving(data, probe=nobody_answers) as client:
        page = client.get(path, headers={"accept": "text/html"}).text
    assert 'role="alert"' in page
    assert "Not answering: " in page
    assert "projector" in page


def append(data: Path, task: str, committed_ns: int) -> None:
    """One span, in the log since then."""
    door = GroupDoor(data, clock=lambda: committed_ns)
    door.append(make_batch([make_span(task=task)]))
    door.close()


def test_live_pages_hear_that_views_are_behind(tmp_path: Path) -> None:
    """The stream says how far, once a change, and a page that opens then hears the changes too."""
    hour_ago_ns = time.time_ns() - 3600 * SECOND_NS
    append(tmp_path, "seen", hour_ago_ns)
    with closing(Queries(make_folder(tmp_path, []))) as queries:
        pulse = Pulse(queries, "default")
        first = pulse.beat()
        assert first is not None
        assert (first.behind, first.figures["behind"]) == ("", "0 s")
        assert pulse.beat() is None
        append(tmp_path, "unseen", hour_ago_ns)
        late = pulse.beat()
    assert late is not None
    assert late.behind.startswith("1h")
    assert (late.changes, late.figures) == ([], {"behind": late.behind})
    both = first.and_then(late)
    assert [change.task for change in both.changes] == ["seen", "seen"]
    assert both.figures == first.figures | {"behind": late.behind}


def damage(data: Path) -> None:
    """Alter some bytes of the first segment, as a failing disk does."""
    with closing(connect_reader(data / "ledger.db")) as log:
        (payload,) = log.execute("SELECT payload FROM segment ORDER BY first LIMIT 1").fetchone()
    path = data / "ledger.db"
    content = path.read_bytes()
    at = content.index(payload[20:60])
    altered = bytes(byte ^ 0x5A for byte in content[at : at + 8])
    path.write_bytes(content[:at] + altered + content[at + 8 :])


def test_a_damaged_log_is_said_and_lists_go_on(tmp_path: Path) -> None:
    """What needs the event says that it cannot be read, and what to do; the rest is shown."""
    error = make_exception("IoError", "gone", f"{STACK}IoError: gone")
    data = make_folder(tmp_path, [make_batch([make_span(status_code=2, events=[error])])])
    damage(data)
    with serving(data) as client:
        (attempt,) = client.get("/api/v1/attempts").json()["items"]
        client.headers["accept"] = "text/html"
        assert "IoError" in client.get("/").text
        one = client.get(f"/attempts/{attempt['attempt_id']}")
    assert one.status_code == 500
    assert "segment at position 1" in one.text
    assert "spanledger log verify" in one.text
    assert "is safe in the log" not in one.text


@pytest.mark.parametrize("path", ["/tasks", "/runs", "/attempts", "/errors"])
def test_an_empty_list_teaches(tmp_path: Path, path: str) -> None:
    """Without a filter it says what will stand there and how it comes; with one, to clear it."""
    with serving(make_folder(tmp_path, [])) as client:
        client.headers["accept"] = "text/html"
        plain, filtered = client.get(path).text, client.get(f"{path}?task=none").text
    assert re.search(r'class="empty"><h2>No \w+ yet<', plain)
    assert "Nothing passes these filters" in filtered

"""Lists: filters by what is concluded, orders of the whole, and files of all that is selected."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from projections.views.tasks.question import Task
from service.access.tokens import Forbidden
from service.web import export
from service.web.pages import lists
from service.web.visit import Table
from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_exception, make_span
from tests.views import make_folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Failures of two categories."""
    spans = [
        make_span(
            task=f"t{n}", run="r", status_code=2, start_ns=BASE_NS + n * SECOND_NS,
            events=[make_exception(type_, "=no answer")],
        )
        for n, type_ in enumerate(("ConnectionResetError", "KeyError"))
    ]  # fmt: skip
    with serving(make_folder(tmp_path_factory.mktemp("lists"), [make_batch(spans)])) as client:
        client.headers["accept"] = "text/html"
        yield client


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Two hundred tries of one task, of which each eighth failed."""
    spans = [
        make_span(
            task="often", run=f"r{n}", status_code=2 if n % 8 == 0 else 0,
            start_ns=BASE_NS + n * SECOND_NS,
        )
        for n in range(200)
    ]  # fmt: skip
    with serving(make_folder(tmp_path_factory.mktemp("many"), [make_batch(spans)])) as client:
        client.headers["accept"] = "text/html"
        yield client


def runs_of(text: str) -> list[str]:
    """The runs in a CSV file."""
    return [row["run_id"] for row in csv.DictReader(text.splitlines())]


def link(page: str, name: str) -> str:
    """Where the link leads that has this text."""
    found = re.search(rf'href="([^"]+)"[^>]*>{name}</a>', page)
    assert found, name
    return found[1].replace("&amp;", "&")


@pytest.mark.parametrize("path", ["/attempts", "/runs?status=completed", "/tasks/often"])
def test_a_file_holds_all_that_the_page_selects(
    many: httpx.Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many parts it is read in, and from whichever page of the list it is asked for."""
    monkeypatch.setattr(lists, "LIMIT", 7)
    page = many.get(path).text
    later = many.get(link(page, "Next page")).text
    wanted = [f"r{n}" for n in range(199, -1, -1) if "completed" not in path or n % 8]
    assert runs_of(many.get(link(page, "CSV")).text) == wanted
    assert runs_of(many.get(link(later, "CSV")).text) == wanted
    assert [item["run_id"] for item in many.get(link(later, "JSON")).json()] == wanted


def test_a_list_stands_in_another_order_as_a_whole(many: httpx.Client) -> None:
    """The head of a column that an index carries leads there and back; the filters stay, the file
    follows, and other columns say that they sort what is shown."""
    page = many.get("/runs?status=failed&limit=5").text
    assert 'aria-sort="descending"' in page
    assert "Sort the rows of this page" in page
    turned = many.get(link(page, "Started")).text
    assert 'aria-sort="ascending"' in turned
    assert re.findall(r"/runs/(r\d+)\">r", turned) == ["r0", "r8", "r16", "r24", "r32"]
    assert runs_of(many.get(link(turned, "CSV")).text) == [f"r{n}" for n in range(0, 200, 8)]
    assert 'aria-sort="descending"' in many.get(link(turned, "Started")).text
    assert 'name="sort" value="started"' in turned


def test_an_empty_file_is_a_file(many: httpx.Client) -> None:
    """Columns without rows, a list without records."""
    assert many.get("/runs?task=none&format=json").json() == []
    (heads,) = many.get("/runs?task=none&format=csv").text.splitlines()
    assert "error.suggestion" in heads.split(",")


def test_what_stops_a_file_breaks_it_off() -> None:
    """A failure on its way, or a token that was revoked, is an error of the answer: nobody takes
    half a file for a whole one."""

    async def sent(parts: Iterator[list[Task]], *, may: bool) -> None:
        async def is_allowed() -> bool:
            return may

        table = Table("tasks", Task, parts, "csv")
        answer = export.file_of(table, anyio.CapacityLimiter(1), is_allowed)
        async for part in answer.iterator:
            assert part

    def failing() -> Iterator[list[Task]]:
        yield []
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        anyio.run(lambda: sent(failing(), may=True))
    with pytest.raises(Forbidden):
        anyio.run(lambda: sent(iter([[]]), may=False))


@pytest.mark.parametrize("field", ["category", "severity", "transient", "state"])
def test_errors_are_filtered_by_what_is_concluded(client: httpx.Client, field: str) -> None:
    """Each filter leaves exactly the patterns that say so, on the page as in the API."""
    patterns = client.get("/api/v1/errors").json()["items"]
    assert len(patterns) == 2
    for value in {pattern[field] for pattern in patterns} - {None}:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found = client.get("/api/v1/errors", params={field: text}).json()["items"]
        wanted = [pattern["type"] for pattern in patterns if pattern[field] == value]
        assert [pattern["type"] for pattern in found] == wanted
        page = client.get("/errors", params={field: text}).text
        assert page.count("errors/") - page.count("errors/triage") >= len(wanted)
        for pattern in patterns:
            assert (f">{pattern['type']}</a>" in page) == (pattern["type"] in wanted)


def test_an_unknown_word_of_a_filter_is_named(client: httpx.Client) -> None:
    """With what is known instead, and with the way on to all other pages."""
    answer = client.get("/errors?category=colour")
    assert answer.status_code == 400
    assert "category" in answer.text
    assert "network" in answer.text
    assert 'role="search"' in answer.text
    assert 'aria-label="Pages"' in answer.text


def test_a_list_comes_as_json(client: httpx.Client) -> None:
    """The records of the API as a file; another form is refused."""
    answer = client.get("/errors?format=json&sort=first_seen")
    assert answer.headers["content-disposition"] == 'attachment; filename="errors.json"'
    listed = client.get("/api/v1/errors?sort=first_seen").json()["items"]
    assert answer.json() == listed
    assert client.get("/errors?format=xml").status_code == 400


def test_a_spreadsheet_takes_no_text_for_a_formula(client: httpx.Client) -> None:
    """It gets an apostrophe in front."""
    assert ",'=no answer," in client.get("/errors?format=csv").text


def test_a_page_that_no_index_serves_goes_on_at_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for what is far back; a file does."""
    monkeypatch.setattr(lists, "WITHIN_S", 0.0)
    spans = [make_span(task=f"t{n % 9}", start_ns=BASE_NS + n) for n in range(6_000)]
    spans.append(make_span(task="seldom", run="the one", start_ns=BASE_NS - SECOND_NS))
    with serving(make_folder(tmp_path, [make_batch(spans)])) as client:
        page = client.get("/search?q=one", headers={"accept": "text/html"}).text
        assert "Next page" in page
        assert "seldom" not in page
        assert "seldom" in client.get("/search?q=one&format=csv").text

"""Lists: filters by what is concluded, and files of what they show."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.web.pages import lists
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

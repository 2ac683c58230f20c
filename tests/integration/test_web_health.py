"""The page of health: scores, hotspots and policies, as a browser gets them."""

import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.api_service import serving
from tests.events import SECOND_NS, make_batch, make_context, make_span
from tests.views import make_folder

HTML = {"accept": "text/html"}


def text_of(client: httpx.Client, path: str) -> str:
    """A page, its spaces made one."""
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(answer.text).split())


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Billing failed in half of its tries, search in none."""
    start_ns = time.time_ns() - 1800 * SECOND_NS
    billing = [
        make_span(
            task="pay <b>", run=f"p{number}", start_ns=start_ns, status_code=1 + number % 2,
            attributes={"task.executor.id": "w1"},
        )
        for number in range(8)
    ]  # fmt: skip
    search = [make_span(task="find", run=f"f{number}", start_ns=start_ns) for number in range(4)]
    batches = [
        make_batch(billing, context=make_context(service="billing")),
        make_batch(search, context=make_context(service="search")),
    ]
    with serving(make_folder(tmp_path_factory.mktemp("health"), batches)) as client:
        yield client


def test_a_component_tells_what_it_lost_points_for(client: httpx.Client) -> None:
    """The figures of the API with every deduction and the basis of the risk, the worst first."""
    page = text_of(client, "/health")
    worst, best = client.get("/api/v1/health/components").json()["items"]
    assert (worst["component"], best["component"]) == ("billing", "search")
    assert page.index(">billing<") < page.index(">search<")
    for part in worst["deductions"]:
        assert f'{part["name"]} <span class="quiet">{part["reason"]}' in page
    assert worst["risk"]["basis"] in page
    assert f'<span class="figure">{round(worst["score"])}</span>' in page


@pytest.mark.parametrize(("by", "key"), [("component", "billing"), ("executor", "w1")])
def test_hotspots_lead_to_the_tries_that_failed(client: httpx.Client, by: str, key: str) -> None:
    """The number of failures is a link to a list of so many."""
    table = client.get(f"/health?by={by}", headers=HTML).text.partition('aria-label="Hotspots"')[2]
    assert f">{key}</a>" in table
    link = unescape(table.partition('data-sort="4"><a href="')[2].partition('"')[0])
    listed = client.get(f"/{link.removeprefix('./')}", headers=HTML).text
    assert "4 shown" in listed


def test_hotspots_quote_what_names_hold(client: httpx.Client) -> None:
    """A task's id leads to its page and is no markup."""
    page = client.get("/health?by=task", headers=HTML).text
    assert "tasks/pay%20%3Cb%3E" in page
    assert "<b>" not in page
    assert client.get("/health?by=colour", headers=HTML).status_code == 400


def test_the_policies_in_force_are_shown(client: httpx.Client) -> None:
    """Each rule of the API's list, with what it is for and what it says."""
    page = text_of(client, "/health")
    rules = client.get("/api/v1/policies").json()["items"]
    assert rules
    for rule in rules:
        assert f">{rule['id']}</td>" in page
        for name in rule["settings"]:
            assert f'<span class="tag">{name} ' in page


def test_health_teaches_before_the_first_try(tmp_path: Path) -> None:
    """What will stand there, and what a component is."""
    with serving(make_folder(tmp_path, [])) as client:
        page = text_of(client, "/health")
        assert "OTEL_SERVICE_NAME" in page
        assert "No failure" in page

"""The pages of executors and of the ledger itself."""

from pathlib import Path

import httpx
import pytest

from service.access.tokens import TokenStore
from tests.api_service import serving
from tests.events import BASE_NS, SECOND_NS, make_batch, make_span
from tests.views import make_folder

HTML = {"accept": "text/html"}


def spans_of(task: str, executor: str, completed: int, failed: int) -> list[object]:
    """Runs of one try each."""
    return [
        make_span(
            task=task, run=f"{executor}-{number}", status_code=1 if number < completed else 2,
            start_ns=BASE_NS + number * SECOND_NS, attributes={"task.executor.id": executor},
        )
        for number in range(completed + failed)
    ]  # fmt: skip


def text_of(client: httpx.Client, path: str) -> str:
    """A page, its spaces made one."""
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two executors of one task, one of them of nine others as well."""
    spans = spans_of("load <b>", "steady", 100, 0) + spans_of("load <b>", "shaky", 1, 19)
    for number in range(9):
        spans += spans_of(f"other-{number}", "steady", 1, 0)
    return make_folder(tmp_path_factory.mktemp("web"), [make_batch(spans)])  # type: ignore[arg-type]


def test_executors_are_marked_where_their_interval_says_so(data: Path) -> None:
    """Counts and intervals stand by the rate; cells lead to the tries that they count."""
    with serving(data) as client:
        page = text_of(client, "/executors?task=load+%3Cb%3E")
        assert '100 of 100<span class="between"> · </span><br>96 to 100 %' in page
        assert '1 of 20<span class="between"> · </span><br>1 to 24 %' in page
        assert page.count('aria-label="completed"') == page.count('aria-label="failed"') == 1
        assert "<b>" not in page
        assert "attempts?task=load+%3Cb%3E&amp;executor=shaky" in page
        assert "shaky" not in text_of(client, "/executors?executor=steady").split("<tbody>")[1]


def test_a_matrix_has_few_columns_and_says_so(data: Path) -> None:
    """The tasks that started last are shown, others by a filter."""
    with serving(data) as client:
        page = text_of(client, "/executors")
        assert page.count('<th scope="col" class="number"') == 8
        assert "filter for others" in page
        assert "filter for others" not in text_of(client, "/executors?q=load")
        assert "Nothing to compare" in text_of(client, "/executors?q=none")
        assert client.get("/executors?nope=1", headers=HTML).status_code == 400


def test_the_ledger_tells_the_log_and_each_projection(data: Path) -> None:
    """Its anchor is the API's, and every projection has a row."""
    with serving(data) as client:
        page = text_of(client, "/ledger")
        head = client.get("/api/v1/log/head").json()
        assert head["anchor"] in page
        assert f"<dd>{int(head['position']):,}</dd>" in page
        for item in client.get("/api/v1/projections").json()["items"]:
            assert f'<td class="id main">{item["name"]}</td>' in page


def test_a_token_of_one_tenant_sees_nothing_of_all(data: Path, tmp_path: Path) -> None:
    """Neither the log's size and end, nor dead letters."""
    folder = make_folder(tmp_path, [make_batch([make_span()])])
    bound = TokenStore(folder / "tokens.json").add("team", "read", "default")
    with serving(folder) as client:
        client.headers["authorization"] = f"Bearer {bound}"
        page = text_of(client, "/ledger")
    assert "attempts" in page
    assert "Anchor" not in page
    assert "Dead letters" not in page


def test_an_empty_ledger_teaches(tmp_path: Path) -> None:
    """Before anything was stored the pages say what will stand there."""
    with serving(make_folder(tmp_path, [])) as client:
        assert "No executor yet" in text_of(client, "/executors")
        assert "Projections" in text_of(client, "/ledger")

"""Searches whose time is over say so: they neither answer nothing nor figures of a part."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from events import names
from projections.views.spans.search import NotAllSeen
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.settings import Settings
from service.jaeger.criteria import query_of
from service.jaeger.messages import message
from service.traces.stored import StoredTraces
from tests.events import BASE_NS, SECOND_NS, make_batch, make_span, span_id, trace_id
from tests.views import make_folder

BLOCKS, EACH = 8, 1024
SPANS = BLOCKS * EACH + 100
START_S = BASE_NS // SECOND_NS
NO_TIME_S = 1e-9


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Blocks of spans, four a second; the rare one is the first."""
    spans = [
        make_span(
            trace_id=trace_id(n + 1), span_id=span_id(n + 1), task=None,
            start_ns=BASE_NS + n * SECOND_NS // 4, end_ns=BASE_NS + n * SECOND_NS // 4 + 1,
            attributes={"rare": "yes" if n == 0 else f"no {n}"},
        )
        for n in range(SPANS)
    ]  # fmt: skip
    return make_folder(tmp_path_factory.mktemp("data"), [make_batch(spans)])


@pytest.fixture(scope="module")
def address(data: Path) -> Iterator[str]:
    """An API whose searches have no time: each looks at one block and what is behind it."""
    settings = Settings(data=data, host="127.0.0.1", api_port=0, query_budget_s=NO_TIME_S)
    server = ApiServer(settings, TokenStore(data / "tokens.json"), probe=lambda role: None)
    yield server.start()
    server.close()


def ask(address: str, path: str, **asked: Any) -> Any:
    url = f"http://{address}/tempo/api/{path}?{urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def refused(address: str, path: str, **asked: Any) -> str:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(address, path, **asked)
    assert caught.value.code == 400
    return str(json.loads(caught.value.read())["detail"])


def find(data: Path, budget_s: float) -> list[bytes]:
    """The first span, asked for by what no index knows."""
    asked = query_of(message("TraceQueryParameters")(search_depth=5), names.DEFAULT_TENANT)
    asked = asked._replace(matches=lambda _, span: span.attributes["rare"] == "yes")
    with closing(StoredTraces(data, budget_s)) as traces:
        return [found.trace_id for found in traces.find(asked, 5)]


def test_a_search_for_jaeger_that_was_cut_does_not_answer_nothing(data: Path) -> None:
    """It would say that there is no such trace; with the time it takes, it is found."""
    with pytest.raises(NotAllSeen, match="shorter time"):
        find(data, NO_TIME_S)
    assert find(data, 60.0) == [trace_id(1)]


def test_what_is_not_there_is_not_found(data: Path) -> None:
    """Where all was seen, nothing is answered."""
    asked = message("TraceQueryParameters")(search_depth=5)
    asked.attributes.add(key="rare").value.string_value = "never"
    with closing(StoredTraces(data, 60.0)) as traces:
        assert traces.find(query_of(asked, names.DEFAULT_TENANT), 5) == []


def test_a_search_of_grafana_that_was_cut_does_not_answer_nothing(address: str) -> None:
    """What no index narrows down is compared, the newest first, until the time is over."""
    assert "shorter time" in refused(address, "search", q='{ span.rare =~ "y.*" }')
    assert len(ask(address, "search", q='{ span.rare =~ "no.*" }')["traces"]) == 20


def test_figures_of_a_part_begin_where_all_is_known(address: str) -> None:
    """Each step that is told is whole; the answer says that it is not all, and where it begins."""
    end = START_S + SPANS // 4
    answer = ask(
        address, "metrics/query_range", q="{ } | count_over_time()", start=START_S, end=end,
        step="10s",
    )  # fmt: skip
    assert answer["status"] == "PARTIAL"
    (series,) = answer["series"]
    steps = [int(sample["timestampMs"]) // 1000 for sample in series["samples"]]
    whole = [s["value"] for s, at in zip(series["samples"], steps, strict=True) if at <= end]
    assert f"figures begin at {steps[0]}" in answer["message"]
    assert START_S + 10 < steps[0] < end
    assert set(whole[:-1]) == {40.0}


def test_no_figure_is_told_of_a_part_of_the_time(address: str) -> None:
    """A count of the whole time would be another one."""
    asked = {"q": "{ } | count_over_time()", "start": START_S, "end": START_S + SPANS}
    assert "less time" in refused(address, "metrics/query", **asked)
    assert "less time" in refused(address, "metrics/query_range", step=10**8, **asked)

"""What Grafana's Tempo data source asks is answered as it expects."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from events.log.port import Recorded
from service.access.tokens import TokenStore
from service.api.server import ApiServer
from service.configuration.settings import Settings
from service.tempo.finding import Matches
from tests.events import (
    BASE_NS,
    SECOND_NS,
    make_batch,
    make_context,
    make_exception,
    make_span,
    span_id,
    trace_id,
)
from tests.views import make_folder

SHOP, MAIL = make_context(service="shop"), make_context(service="mail")
START_S = BASE_NS // SECOND_NS


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An API on a folder in which a shop calls a mailer thrice, a second apart."""
    batches = []
    for number in (1, 2, 3):
        start, one, root = BASE_NS + number * SECOND_NS, trace_id(number), span_id(number)
        order = make_span(trace_id=one, span_id=root, name="order", kind=2, start_ns=start)
        sent = make_span(
            trace_id=one, parent_span_id=root, name="send", kind=3, start_ns=start + 1,
            status_code=2 if number == 2 else 0, attributes={"to": f"c{number}", "tries": number},
            events=[make_exception()] if number == 2 else [],
        )  # fmt: skip
        batches += [make_batch([order], context=SHOP), make_batch([sent], context=MAIL)]
    batches.append(make_batch([make_span(trace_id=trace_id(1), name="theirs")], tenant="acme"))
    data = make_folder(tmp_path_factory.mktemp("data"), batches)
    settings = Settings(data=data, host="127.0.0.1", api_port=0)
    server = ApiServer(settings, TokenStore(data / "tokens.json"), probe=lambda role: None)
    yield server.start()
    server.close()


def get(address: str, path: str, **headers: str) -> bytes:
    request = urllib.request.Request(f"http://{address}/tempo{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content: bytes = answer.read()
        return content


def ask(address: str, path: str, **asked: Any) -> Any:
    return json.loads(get(address, f"{path}?{urlencode(asked)}"))


def names_in(data: bytes) -> list[str]:
    return [
        span.name for resource in TracesData.FromString(data).resource_spans
        for scope in resource.scope_spans for span in scope.spans
    ]  # fmt: skip


def test_save_and_test(address: str) -> None:
    """The data source's own check."""
    assert get(address, "/api/echo") == b"echo"


def test_a_trace_by_its_id(address: str) -> None:
    """Version 2 frames the trace in an answer; the older path gives it bare."""
    path = f"traces/{trace_id(2).hex()}?start={START_S}&end={START_S + 60}"
    framed = get(address, f"/api/v2/{path}", accept="application/protobuf")
    assert framed[:1] == b"\x0a"
    bare = get(address, f"/api/{path}")
    assert framed.endswith(bare)
    assert names_in(bare) == ["order", "send"]


@pytest.mark.parametrize("version", ["", "v2/"])
def test_an_unknown_trace_is_not_found(address: str, version: str) -> None:
    """Grafana tells so from the status."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(address, f"/api/{version}traces/{trace_id(99).hex()}")
    assert caught.value.code == 404


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("{}", [3, 2, 1]),
        ('{ resource.service.name = "mail" && status = error }', [2]),
        ('{ span.to =~ "c[13]" }', [3, 1]),
        ("{ .tries > 1 }", [3, 2]),
        ('{ rootServiceName = "shop" && name = "send" }', [3, 2, 1]),
        ('{ rootServiceName = "mail" }', []),
        ('{ event.exception.type = "ValueError" }', [2]),
        ("{ duration > 2s }", []),
        ('{ (span.to = "c1" || span.to = "c3") && resource.service.name = "mail" }', [3, 1]),
        ('{ rootServiceName = "mail" || span.to = "c2" }', [2]),
        ("{ true && true }", [3, 2, 1]),
        ('{ nestedSetParent < 0 && name = "order" }', [3, 2, 1]),
        ('{ nestedSetParent < 0 && name = "send" }', []),
        ('{ nestedSetParent >= 0 && span.to = "c2" }', [2]),
    ],
)
def test_searches(address: str, query: str, found: list[int]) -> None:
    """Traces with a span that fits, the newest first."""
    traces = ask(address, "/api/search", q=query, limit=20, spss=3)["traces"]
    assert [trace["traceID"] for trace in traces] == [trace_id(n).hex() for n in found]


def test_a_search_says_what_a_table_shows(address: str) -> None:
    """Root, times, and the spans that fit with what was asked of them."""
    window = {"start": START_S + 2, "end": START_S + 2}
    (trace,) = ask(address, "/api/search", q="{ .tries >= 1 }", **window)["traces"]
    start = BASE_NS + 2 * SECOND_NS
    (spans,) = trace.pop("spanSets")
    assert trace == {
        "traceID": trace_id(2).hex(), "rootServiceName": "shop", "rootTraceName": "order",
        "startTimeUnixNano": str(start), "durationMs": 1000,
    }  # fmt: skip
    assert spans["matched"] == 1
    (span,) = spans["spans"]
    assert span["attributes"] == [{"key": "tries", "value": {"intValue": "2"}}]
    assert (span["name"], span["durationNanos"]) == ("send", str(SECOND_NS))


def test_selected_fields_are_shown(address: str) -> None:
    """Those of the span and of its resource, and intrinsics; what a span lacks is left out."""
    query = "{ .tries = 2 } | select(span.to, resource.service.name, status, .none, rootName)"
    (trace,) = ask(address, "/api/search", q=query)["traces"]
    (span,) = trace["spanSets"][0]["spans"]
    assert span["attributes"] == [
        {"key": "tries", "value": {"intValue": "2"}},
        {"key": "to", "value": {"stringValue": "c2"}},
        {"key": "service.name", "value": {"stringValue": "mail"}},
        {"key": "status", "value": {"stringValue": "error"}},
    ]


def test_a_query_narrows_tags_and_values(address: str) -> None:
    """Only spans that fit count; one that is half written narrows nothing."""

    def keys(query: str) -> set[str]:
        answer = ask(address, "/api/v2/search/tags", scope="span", q=query)
        return {tag for scope in answer["scopes"] for tag in scope["tags"]}

    def found(tag: str, query: str) -> list[str]:
        answer = ask(address, f"/api/v2/search/tag/{quote(tag, safe='')}/values", q=query)
        return [value["value"] for value in answer["tagValues"]]

    assert "tries" not in keys('{ name = "order" }')
    assert "tries" in keys("{ status = error }")
    assert keys("{ status = ") == keys("{}")
    assert found("span.to", "{ .tries > 1 }") == ["c2", "c3"]
    assert found("resource.service.name", '{ name = "send" }') == ["mail"]
    assert found("resource.service.name", "{}") == ["mail", "shop"]


def test_of_a_trace_as_many_spans_are_kept_as_are_shown() -> None:
    """The others are counted."""
    matches = Matches(3)
    span = Recorded(0, 1, b"", "default", 0, 0, SHOP, make_span())
    for _ in range(10):
        matches.add(span)
    assert (matches.count, len(matches.spans)) == (10, 3)


def test_tags_and_values(address: str) -> None:
    """What the drop-downs offer, by scope."""
    scopes = {s["name"]: s["tags"] for s in ask(address, "/api/v2/search/tags")["scopes"]}
    assert scopes["resource"] == ["service.instance.id", "service.name"]
    assert {"to", "tries"} <= set(scopes["span"])
    assert "exception.type" in scopes["event"]
    assert "duration" in scopes["intrinsic"]
    only = ask(address, "/api/v2/search/tags", scope="resource")["scopes"]
    assert [scope["name"] for scope in only] == ["resource"]

    def values(tag: str) -> list[tuple[str, str]]:
        answer = ask(address, f"/api/v2/search/tag/{quote(tag, safe='')}/values")
        return [(value["type"], value["value"]) for value in answer["tagValues"]]

    assert values("resource.service.name") == [("string", "mail"), ("string", "shop")]
    assert values("span.tries") == [("int", "1"), ("int", "2"), ("int", "3")]
    assert values("name") == [("string", "order"), ("string", "send")]
    assert ("keyword", "error") in values("status")


def test_what_is_not_understood_is_a_bad_request(address: str) -> None:
    """The answer says what it was."""
    for path in ("/api/search?q=" + quote("{ } | count() > 1"), "/api/search?limit=0"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(address, path)
        assert caught.value.code == 400
        assert json.loads(caught.value.read())["detail"]


def figures(address: str, query: str, **asked: Any) -> dict[str, list[tuple[int, float]]]:
    """The samples of each series, by its labels, in seconds after the first span's start."""
    asked = {"start": START_S, "end": START_S + 4, "step": "1s"} | asked
    answer = ask(address, "/api/metrics/query_range", q=query, **asked)
    assert "status" not in answer
    return {
        labels_of(series): [
            (int(sample["timestampMs"]) // 1000 - START_S, sample["value"])
            for sample in series["samples"]
        ]
        for series in answer["series"]
    }


def labels_of(series: Any) -> str:
    """Of a series, as `key=value`."""
    pairs = [(label["key"], *label["value"].values()) for label in series["labels"]]
    return ",".join(f"{key}={value}" for key, value in pairs)


def test_spans_are_counted_along_time(address: str) -> None:
    """A step holds what starts after its beginning and until its end; one without any is 0."""
    counted = figures(address, '{ name = "order" } | count_over_time()')
    assert counted == {"__name__=count_over_time": [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.0)]}
    rates = figures(address, "{ } | rate() by (resource.service.name)", step="2s", end=START_S + 4)
    assert rates == {
        "resource.service.name=mail": [(2, 0.5), (4, 1.0)],
        "resource.service.name=shop": [(2, 1.0), (4, 0.5)],
    }


def test_what_spans_lack_is_a_series_without_the_label(address: str) -> None:
    """One that lacks all says nil, as in a Tempo; what Drilldown asks leaves them out."""
    by = "by (span.to, kind)"
    assert "kind=server" in figures(address, f"{{ }} | rate() {by}")
    assert "span.tries=nil" in figures(address, "{ } | rate() by (span.tries)")
    query = "{ nestedSetParent >= 0 && true && span.tries != nil } | rate() by(span.tries)"
    assert [*figures(address, query)] == ["span.tries=1", "span.tries=2", "span.tries=3"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("min_over_time(span.tries)", 2.0), ("max_over_time(.tries)", 3.0),
        ("sum_over_time(.tries)", 5.0), ("avg_over_time(.tries)", 2.5),
        ("quantile_over_time(.tries, .5)", 2.0), ("quantile_over_time(.tries, 1)", 3.0),
        ("max_over_time(duration)", 1.0),
    ],
)  # fmt: skip
def test_numbers_are_measured(address: str, function: str, expected: float) -> None:
    """Of a step without numbers no figure is told; durations are in seconds."""
    found = figures(
        address, f"{{ .tries > 1 }} | {function}", step="10", start=START_S, end=START_S + 10
    )
    assert [value for samples in found.values() for _, value in samples] == [expected]


def test_a_histogram_has_a_series_for_each_bucket(address: str) -> None:
    """A bucket is a power of two of nanoseconds, told in seconds."""
    found = figures(address, "{ } | histogram_over_time(duration)", step="10s", end=START_S + 10)
    (label,) = found
    assert label == f"__bucket={2**30 / 1e9}"
    assert sum(value for _, value in found[label]) == 6.0


def test_quantiles_have_a_series_each(address: str) -> None:
    """Their label is `p`."""
    found = figures(address, "{ kind = client } | quantile_over_time(duration, .5, .9) by (name)")
    assert [*found] == ["name=send,p=0.5", "name=send,p=0.9"]


def test_examples_lead_to_traces(address: str) -> None:
    """As many as the panel or the query asks for, each on the line of its series."""
    asked = {"start": START_S, "end": START_S + 4, "step": "1s"}
    query = '{ name = "send" } | rate()'
    for of, more, count in (
        (query, {"exemplars": 2}, 2), (f"{query} with (exemplars=true)", {}, 3), (query, {}, 0),
        (f"{query} with (exemplars=false)", {"exemplars": 2}, 0),
    ):  # fmt: skip
        (series,) = ask(address, "/api/metrics/query_range", q=of, **asked, **more)["series"]
        assert len(series["exemplars"]) == count
    (series,) = ask(address, "/api/metrics/query_range", q=query, exemplars=9, **asked)["series"]
    first = series["exemplars"][0]
    assert first["labels"][0] == {"key": "trace:id", "value": {"stringValue": trace_id(1).hex()}}
    assert (first["value"], int(first["timestampMs"])) == (1.0, (START_S + 1) * 1000)


def test_a_figure_of_the_whole_time(address: str) -> None:
    """An instant query tells one value a series, and nothing that its message has not."""
    asked = {"q": "{ } | count_over_time() by (name)", "start": START_S, "end": START_S + 10}
    answer = ask(address, "/api/metrics/query", **asked)
    assert answer["metrics"] == {"inspectedSpans": "6"}
    assert [(labels_of(one), one["value"]) for one in answer["series"]] == [
        ("name=order", 3.0), ("name=send", 3.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "asked", "told"),
    [
        ("{ }", {}, "expected { … } | FUNCTION"),
        ("{ } | compare({ status = error })", {}, "compare are not understood"),
        ("{ } | rate() | topk(3)", {}, "topk"),
        ("{ } | rate() by (rootName)", {}, "nestedSetParent < 0"),
        ("{ } | rate(duration)", {}, "takes nothing"),
        ("{ } | max_over_time()", {}, "max_over_time(duration)"),
        ("{ } | max_over_time(name)", {}, "is no number"),
        ("{ } | quantile_over_time(duration, 99)", {}, "between 0 and 1"),
        ("{ } | quantile_over_time(duration)", {}, "1 to 10 quantiles"),
        ("{ } | rate() with (speed=1)", {}, "with (speed=1)"),
        ("{ } | rate()", {"step": "soon"}, "step"),
        ("{ } | rate()", {"start": 1, "end": 1 << 32, "step": "1s"}, "ask for longer ones"),
        ("{ } | rate()", {"start": 5, "end": 5}, "before the end"),
    ],
)
def test_figures_that_are_not_understood(
    address: str, query: str, asked: dict[str, Any], told: str
) -> None:
    """Status 400, and what it was."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(address, "/api/metrics/query_range", q=query, **asked)
    assert caught.value.code == 400
    assert told in json.loads(caught.value.read())["detail"]


def test_figures_of_a_tenant(address: str) -> None:
    """Its own spans are counted, and no others."""
    query = urlencode({"q": "{ } | count_over_time()", "start": START_S - 60, "end": START_S + 60})
    answer = json.loads(get(address, f"/api/metrics/query?{query}", **{"X-Scope-OrgID": "acme"}))
    assert [one["value"] for one in answer["series"]] == [1.0]


def test_a_tenant_sees_its_own(address: str) -> None:
    """By the header that the data source can be given."""
    path = f"/api/traces/{trace_id(1).hex()}"
    assert names_in(get(address, path, **{"X-Scope-OrgID": "acme"})) == ["theirs"]


def test_a_token_is_needed_where_there_is_one(tmp_path: Path) -> None:
    """Reading needs the scope `read`."""
    data = make_folder(tmp_path, [make_batch([make_span()])])
    tokens = TokenStore(data / "tokens.json")
    token = tokens.add("grafana", "read")
    settings = Settings(data=data, host="127.0.0.1", api_port=0)
    server = ApiServer(settings, tokens, probe=lambda role: None)
    address = server.start()
    try:
        assert get(address, "/api/echo", authorization=f"Bearer {token}") == b"echo"
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(address, "/api/echo")
        assert caught.value.code == 401
    finally:
        server.close()

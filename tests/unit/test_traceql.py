"""The part of TraceQL that is understood means what it says; the rest is refused by name."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.schema import Context, Span, SpanEvent
from projections.views.spans.search import END_NS
from projections.views.spans.tokens import context_tokens, seed_of, span_tokens
from service.tempo.pipeline import parse_search
from service.tempo.series import quantile
from service.tempo.traceql import NotUnderstood, Root, parse, query_of
from tests.events import make_span

CONTEXT = Context(
    resource_attributes={"service.name": "shop", "zone": "a"}, scope_attributes={"lib": "x"}
)
SPAN: Span = make_span(
    name="GET /pay", kind=2, status_code=2, start_ns=10, end_ns=1_500_000_010,
    attributes={"http.status_code": 500, "ok": False, "ratio": 0.5, "a key": 'say "hi"'},
    events=[SpanEvent(1, "e", {"exception.type": "ValueError"}, 0)],
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "{}", "", " { } ", '{ name = "GET /pay" }', '{name="GET /pay"}', '{ span:name =~ "GET.*" }',
        "{ status = error && kind = server }", "{ status != ok }", "{ duration > 1s }",
        "{ duration >= 1500ms && duration <= 1.5s }", '{ resource.service.name = "shop" }',
        '{ .zone = "a" }', "{ .http.status_code = 500 }", "{ span.http.status_code >= 500 }",
        "{ span.ok = false }", "{ .ratio < 0.6 }", '{ span."a key" = "say \\"hi\\"" }',
        '{ event.exception.type =~ "Value.*|Key.*" }', '{ instrumentation.lib = "x" }',
        "{ .nothing = nil }", '{ .zone != "b" && .zone !~ "b.*" }', '{ .http.status_code = "500" }',
        "{ .zone = `a` }", '{ .zone = "b" || .zone = "a" }', '{ (.zone = "b" || .zone = "a") }',
        '{ .zone = "a" || .zone = "b" && .zone = "c" }', "{ true && status = error }",
        '{ (((.zone = "a")) && (status = ok || duration > 1s)) }', '{rootName="x"||.zone="b"}',
        '{ duration > 9s || .zone = "a" }', "{ true }", "{nestedSetParent<0}",
        "{ kind != nil && status != nil && duration != nil && name != nil }", "{ span.ok != nil }",
    ],
)  # fmt: skip
def test_a_span_that_is_so_is_found(text: str) -> None:
    """It matches, and has a token of each set."""
    query = query_of(parse(text), "default")
    assert query.matches(CONTEXT, SPAN)
    seed = seed_of("default")
    held = {*context_tokens(seed, CONTEXT), *span_tokens(seed, SPAN)}
    assert all(held & {*alternatives} for alternatives in query.tokens)
    assert query.shortest_ns <= 1_500_000_000 <= query.longest_ns


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("{ duration > 9999999999999999h }", (END_NS, END_NS)),
        ("{ duration > -5s && duration < -1s }", (0, 0)),
        ("{ duration > 1.5 && duration < 2.5 }", (1, 3)),
    ],
)
def test_bounds_of_the_index_are_such_as_spans_have(text: str, bounds: tuple[int, int]) -> None:
    """Whole nanoseconds from 0 on that a database holds, whatever was asked."""
    query = query_of(parse(text), "default")
    assert (query.shortest_ns, query.longest_ns) == bounds
    assert all(isinstance(bound, int) for bound in bounds)


@pytest.mark.parametrize(
    "text",
    [
        '{ name = "GET" }', '{ name =~ "GET" }', "{ status = ok }", "{ kind = client }",
        "{ duration > 1.5s }", '{ span.service.name = "shop" }', '{ resource.zone = "b" }',
        "{ .http.status_code > 500 }", "{ .ok = true }", "{ .nothing != 1 }", '{ .zone > "b" }',
        '{ .http.status_code =~ "5.*" }', '{ .zone = "a" && .zone = "b" }', "{ .zone = nil }",
        '{ .zone = "b" || .zone = "c" }', '{ (.zone = "a" || .zone = "b") && .zone = "c" }',
    ],
)  # fmt: skip
def test_a_span_that_is_not_so_is_not(text: str) -> None:
    """One comparison that fails is enough; what is absent fails every one but `= nil`."""
    assert not query_of(parse(text), "default").matches(CONTEXT, SPAN)


def test_conditions_of_the_root_are_not_of_the_span() -> None:
    """They hold of a trace's root, and say nothing of a span."""
    asked = parse('{ rootServiceName = "front" && rootName != "x" }')
    assert query_of(asked, "default").matches(CONTEXT, SPAN)
    assert asked.holds_in(CONTEXT, SPAN, Root("front", "y"))
    assert not asked.holds_in(CONTEXT, SPAN, Root("front", "x"))
    either = parse('{ rootName = "x" || .zone = "b" }')
    assert either.holds_in(CONTEXT, SPAN, Root("front", "x"))
    assert not either.holds_in(CONTEXT, SPAN, Root("front", "y"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ } | count() > 2", "one set of spans"), ("{} >> {}", "expected a field"),
        ("{ .a = 1 | .b = 2 }", r"expected `&&`, `\|\|`, not '\|'"),
        ("{ (.a = 1 }", r"`\)` is missing"), ("{ .a = 1) }", r"expected `&&`, `\|\|`, not '\)'"),
        ("{" + "(" * 40 + "}", "more than 32 brackets"),
        ("{ .a = 1 || }", "a field is missing"), ("{ () }", "expected a field"),
        ("{ foo = 1 }", "no field is named 'foo'"), ("{ .a }", "an operator .* is missing"),
        ("{ .a = }", "a value is missing"), ("{ .a = b }", "strings are quoted"),
        ("{ .a = 1 && }", "a field is missing"), ('{ .a =~ "(" }', "no regular expression"),
        ("{ .a =~ 1 }", "takes a string"), ("{ status = 2 }", "one of unset, ok, error"),
        ("{ status > ok }", "one of unset, ok, error"), ('{ duration > "1s" }', "a duration"),
        ("{" + "x" * 5000 + "}", "longer than"), ("count()", "one set of spans"),
        ("{ nestedSetParent > 3 }", "nestedSetParent > 3: expected < 0 or >= 0"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    """The message says what was met, or what is missing."""
    with pytest.raises(NotUnderstood, match=said):
        parse(text)


@given(st.text(max_size=60) | st.text(alphabet='{}."=~!<>&|() abs015', max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    """Nothing else can happen."""
    with contextlib.suppress(NotUnderstood):
        query_of(parse(text), "default").matches(CONTEXT, SPAN)


@pytest.mark.parametrize(
    "text", ["{} | select(a)", "{} | select()", "{} | select(status) | rate()"]
)
def test_only_fields_are_selected(text: str) -> None:
    """And nothing follows."""
    with pytest.raises(NotUnderstood):
        parse_search(text)


def test_brackets_in_texts_and_keys_end_no_set() -> None:
    """Quoted keys may hold commas."""
    asked = parse_search('{ name != "} | select(x)" } | select(span."a,b", status)')
    assert asked.spans.holds(CONTEXT, SPAN)
    assert asked.selected == (("span", "a,b"), ("intrinsic", "status"))


@pytest.mark.parametrize("hundredths", [0, 1, 7, 14, 28, 50, 99, 100])
def test_a_quantile_is_the_least_value_that_is_enough(hundredths: int) -> None:
    """Of 100 values the seventh for 0.07, though 0.07 x 100 is a little more than 7."""
    values = [float(number) for number in range(100, 0, -1)]
    assert quantile(values, hundredths / 100) == max(hundredths, 1)

"""What Jaeger asks is what a span must be, and the tokens by which it is found are on that span."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import BadInput
from events.schema import Context, Span, SpanEvent, SpanLink
from projections.views.spans.search import END_NS
from projections.views.spans.tokens import context_tokens, seed_of, span_tokens
from service.jaeger.criteria import query_of
from service.jaeger.messages import message
from tests.events import make_span

TENANT = "default"
CONTEXT = Context(
    resource_attributes={"service.name": "shop", "where": "resource", "number": 7},
    scope_name="lib", scope_version="1.2", scope_attributes={"scoped": True},
)  # fmt: skip
SPAN: Span = make_span(
    name="pay", kind=3, status_code=2, attributes={"own": 72.5, "flag": True},
    events=[SpanEvent(1, "e", {"told": "here"}, 0)],
    links=[SpanLink(b"\1" * 16, b"\1" * 8, "", {"linked": 123}, 0, 0)],
)  # fmt: skip


def asked(service: str = "", operation: str = "", **pairs: Any) -> Any:
    """A request; `__` in a key stands for a dot."""
    parameters = message("TraceQueryParameters")(service_name=service, operation_name=operation)
    for key, value in pairs.items():
        added = parameters.attributes.add(key=key.replace("__", "."))
        kind = {str: "string", bool: "bool", int: "int", float: "double"}[type(value)]
        setattr(added.value, f"{kind}_value", value)
    return parameters


FITTING = [
    {}, {"service": "shop"}, {"operation": "pay"}, {"own": "72.5"}, {"own": 72.5}, {"flag": "true"},
    {"flag": True}, {"told": "here"}, {"linked": "123"}, {"linked": 123}, {"scoped": "true"},
    {"where": "resource"}, {"resource__where": "resource"}, {"resource__number": "7"},
    {"error": "true"}, {"error": True}, {"error": "T"}, {"span__status": "ERROR"},
    {"span__kind": "client"}, {"span__kind": "CLIENT"}, {"scope__name": "lib"},
    {"scope__version": "1.2"}, {"own": "72.5", "told": "here", "linked": 123, "where": "resource"},
    {"service": "shop", "operation": "pay", "error": True, "scope__name": "lib", "scoped": True},
]  # fmt: skip
OTHERS: list[dict[str, Any]] = [
    {"service": "mail"}, {"operation": "paid"}, {"own": "72"}, {"own": "72.50"}, {"flag": "True"},
    {"told": "there"}, {"resource__own": "72.5"}, {"error": "false"}, {"error": False},
    {"span__status": "ok"}, {"span__status": "unset"}, {"span__kind": "server"},
    {"span__kind": "nothing"}, {"scope__name": ""}, {"scope__version": "1"}, {"nothing": ""},
    {"own": "72.5", "told": "there"},
]  # fmt: skip


@pytest.mark.parametrize("given", FITTING, ids=repr)
def test_a_span_that_is_so_is_found(given: dict[str, Any]) -> None:
    """It matches, and has a token of each set."""
    query = query_of(asked(**given), TENANT)
    assert query.matches(CONTEXT, SPAN)
    seed = seed_of(TENANT)
    held = {*context_tokens(seed, CONTEXT), *span_tokens(seed, SPAN)}
    assert all(held & {*alternatives} for alternatives in query.tokens)


@pytest.mark.parametrize("given", OTHERS, ids=repr)
def test_a_span_that_is_not_so_is_not(given: dict[str, Any]) -> None:
    """One difference is enough."""
    assert not query_of(asked(**given), TENANT).matches(CONTEXT, SPAN)


@given(st.integers(0, 2))
def test_error_is_true_or_false_and_nothing_between(status: int) -> None:
    """`error=false` is everything that did not fail, also what says nothing."""
    span = make_span(status_code=status)
    failed = query_of(asked(error=True), TENANT).matches(CONTEXT, span)
    assert failed == (status == 2)
    assert query_of(asked(error="false"), TENANT).matches(CONTEXT, span) == (not failed)


def test_what_is_neither_is_refused() -> None:
    """The message names the key and the value."""
    with pytest.raises(BadInput, match="error: expected true or false, not 'perhaps'"):
        query_of(asked(error="perhaps"), TENANT)


def test_bounds_are_nanoseconds_and_may_be_missing() -> None:
    """Without a bound everything is within it; a longest duration of 0 is none."""
    parameters = asked()
    query = query_of(parameters, TENANT)
    assert query[3:] == (0, END_NS, 0, END_NS)
    parameters.start_time_min.seconds, parameters.start_time_min.nanos = 17, 5
    parameters.start_time_max.seconds = 18
    parameters.duration_min.nanos = 4
    parameters.duration_max.SetInParent()
    query = query_of(parameters, TENANT)
    assert query[3:] == (17_000_000_005, 18_000_000_000, 4, END_NS)

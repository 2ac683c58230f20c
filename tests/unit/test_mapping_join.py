"""What rules say of several spans and records: joined whatever comes first."""

from typing import Any

from events.schema import Context, SpanEvent
from projections.mapping.join.explain import explain
from projections.mapping.join.joiner import Joiner
from projections.mapping.join.memory import MemoryObservations
from projections.mapping.rules.ruleset import RuleSet, content_of
from projections.runs import words
from tests.events import BASE_NS, make_log, make_span
from tests.mapped import joined, observed, rows_of, shuffled

SCOPE = Context(scope_name="shop")


def _rules(**changes: Any) -> RuleSet:
    rule = {"id": "work", "match": {"scope": "shop", "name": "work"}, "key": ["attr.job"],
            "task_name": "attr.type"} | changes  # fmt: skip
    return RuleSet(content_of([("f.toml", {"version": 1, "rule": [rule]})]))


def _work(**changes: Any) -> Any:
    return make_span(
        task=None, **{"name": "work", "attributes": {"job": "j", "type": "t"}} | changes
    )


def test_a_record_of_the_span() -> None:
    """An attribute of a log record that names the span, before it or after."""
    rules = _rules(error_message="log[failed].why", status=[{"is": "failed"}])
    span = _work()
    record = make_log(event_name="failed", trace_id=span.trace_id, span_id=span.span_id,
                      attributes={"why": "no room"})  # fmt: skip
    seen = observed([*rows_of(SCOPE, [span]), *rows_of(Context(), [record])], rules)
    for seed in range(6):
        (fact,) = joined(shuffled(seen, seed), rules).values()
        assert fact.error_message == "no room"


def test_a_late_parent_moves_the_fact() -> None:
    """Until the parent is known the run is the trace; then the fact leaves it."""
    rules = _rules(key=["parent:attr.order"])
    parent = make_span(task=None, name="order", attributes={"order": "o1"})
    child = _work(trace_id=parent.trace_id, parent_span_id=parent.span_id)
    above, below = observed(rows_of(SCOPE, [parent, child]), rules)
    joiner = Joiner(rules, MemoryObservations())
    (first,) = joiner.arrive([below]).placed
    assert first.run.run_id == parent.trace_id.hex()
    assert first.inferred[0] == "run_id"
    moved = joiner.arrive([above])
    assert moved.retracted == [(first.run, first.fact_id)]
    assert [fact.run.run_id for fact in moved.placed] == ["o1"]
    assert joiner.arrive([above, below]) == ([], [])


def test_parents_in_a_circle() -> None:
    """Spans that are each other's parents end no search."""
    rules = _rules(error_message="desc[gone]:attr.x", status=[{"is": "failed"}])
    one = _work(parent_span_id=b"b" * 8, span_id=b"a" * 8)
    two = make_span(task=None, name="two", trace_id=one.trace_id, span_id=b"b" * 8,
                    parent_span_id=b"a" * 8)  # fmt: skip
    (fact,) = joined(observed(rows_of(SCOPE, [one, two]), rules), rules).values()
    assert fact.error_message is None


def test_a_word_that_nobody_knows_is_no_success() -> None:
    """Failed where the span's status is an error, else unknown; both are inferred."""
    rules = _rules(status=[{"when": {"attr.end": "*"}, "from": "attr.end"}])
    said = {"job": "j", "type": "t", "end": "gibberish"}
    for code, status in ((2, words.FAILED), (1, words.UNKNOWN), (0, words.UNKNOWN)):
        seen = observed(rows_of(SCOPE, [_work(status_code=code, attributes=said)]), rules)
        (fact,) = joined(seen, rules).values()
        assert (fact.outcome.status, fact.outcome.inferred) == (status, True)
        assert fact.outcome.unknown_word == "gibberish"


def test_the_nth_event() -> None:
    """Of several events the one that is asked for; there is none beyond the last."""
    events = [SpanEvent(BASE_NS + n, "e", {"x": f"v{n}"}, 0) for n in (1, 2)]
    for number, value in ((1, "v1"), (2, "v2"), (3, None)):
        rules = _rules(group=f"event[e].x | nth {number}")
        (fact,) = joined(observed(rows_of(SCOPE, [_work(events=events)]), rules), rules).values()
        assert fact.group == value


def test_composite_texts_stay_apart() -> None:
    """("a.b", "c") and ("a", "b.c") are two tasks."""
    rules = _rules(task_id={"join": ["attr.a", "attr.b"], "with": "."})
    spans = [
        _work(attributes={"job": "j", "a": a, "b": b}) for a, b in (("a.b", "c"), ("a", "b.c"))
    ]
    facts = joined(observed(rows_of(SCOPE, spans), rules), rules)
    assert {fact.run.task_id for fact in facts.values()} == {"a%2Eb.c", "a.b.c"}


def test_what_no_rule_wants_is_not_decoded() -> None:
    """A block of another scope is not looked at, and a row without the marks neither."""
    rules = _rules(match={"attr.job": "*"})
    other = make_span(task=None, name="other")
    assert observed(rows_of(SCOPE, [other]), rules) == []
    assert len(observed(rows_of(Context(), [_work()]), rules)) == 1


def test_each_field_is_explained() -> None:
    """The rule, the source of each field, and what was inferred."""
    rules = _rules(group="parent:attr.order")
    parent = make_span(task=None, name="order", attributes={"order": "o1"})
    child = _work(trace_id=parent.trace_id, parent_span_id=parent.span_id)
    told = explain(observed(rows_of(SCOPE, [child, parent]), rules), rules)
    work = next(one for one in told if one.name == "work")
    assert (work.rule, work.file, work.task_id, work.run_id) == ("work", "f.toml", "t", "j")
    fields = {one.field: (one.value, one.source) for one in work.fields}
    assert fields["group"] == ("o1", "parent:attr.order")
    assert fields["key"] == ("j", "attr.job")
    assert "status" in work.inferred
    assert next(one for one in told if one.name == "order").rule is None


def test_attributes_that_tell_which_error_it_is_come_along() -> None:
    """Of a failed span, an exception's over its own; of one that did not fail none."""
    rules = _rules(status=[{"is": "failed"}])
    codes = {"job": "j", "type": "t", "http.response.status_code": 503, "shoe.size": 43}
    raised = SpanEvent(BASE_NS, "exception", {"error.type": "ECONNRESET", "exception.type": "E"}, 0)
    bad = _work(attributes=codes, status_code=2, events=[raised])
    (fact,) = joined(observed(rows_of(SCOPE, [bad]), rules), rules).values()
    assert fact.error_told == {"http.response.status_code": 503, "error.type": "ECONNRESET"}
    (seen,) = observed(rows_of(SCOPE, [_work(attributes=codes)]), rules)
    assert seen.told == {}

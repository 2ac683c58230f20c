"""The life of an alert: pending, firing, told once, resolved."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.alerts.alert import Alert, Step, advance, alert_id, step
from service.alerts.findings import Finding
from service.alerts.rule import Rule, TerminalFailures, span

MINUTE_NS = int(span(60))
FOUND = Finding(labels={"task": "a"}, value=1, summary="1 run failed")


def rule_of(**changes: object) -> Rule:
    """A rule with the defaults, changed."""
    return TerminalFailures(name="rule", **changes)  # type: ignore[arg-type]


def lived(rule: Rule, found: Sequence[bool], muted: Sequence[bool] = ()) -> list[Step]:
    """What becomes of an alert, looked at each minute."""
    steps: list[Step] = []
    alert: Alert | None = None
    for minute, holds in enumerate(found, 1):
        mute = minute <= len(muted) and muted[minute - 1]
        steps.append(step(alert, FOUND if holds else None, rule, minute * MINUTE_NS, muted=mute))
        alert = steps[-1].alert
    return steps


def told(steps: Sequence[Step]) -> list[str | None]:
    """What receivers hear, minute by minute."""
    return [one.tell for one in steps]


def test_it_fires_once_and_is_resolved() -> None:
    """However often it is found, receivers hear twice of it, and the log as well."""
    steps = lived(rule_of(), [True, True, True, False, False])
    assert told(steps) == ["firing", None, None, "resolved", None]
    assert [one.change for one in steps] == ["fired", None, None, "resolved", None]


def test_it_must_hold_for_its_time() -> None:
    """What is over before is never told."""
    rule = rule_of(hold=span(120))
    assert told(lived(rule, [True, True, False, True])) == [None] * 4
    assert told(lived(rule, [True, True, True])) == [None, None, "firing"]


def test_what_comes_and_goes_is_told_after_the_cool_down() -> None:
    """Ten minutes lie between two notices that it fires; what nobody heard of needs no end."""
    flapping = [True, False, True, False, *[True] * 10]
    assert [n for n, what in enumerate(told(lived(rule_of(), flapping)), 1) if what] == [1, 2, 11]
    assert told(lived(rule_of(), flapping))[10] == "firing"


def test_it_is_told_again_while_it_fires() -> None:
    """At `repeat_every`, or never if that is 0."""
    often = lived(rule_of(repeat_every=span(180)), [True] * 8)
    assert told(often) == ["firing", None, None, "firing", None, None, "firing", None]
    assert told(lived(rule_of(repeat_every=span(0)), [True] * 500)).count("firing") == 1


def test_it_is_kept_over_a_gap() -> None:
    """With `keep` a short time without it is no end."""
    steps = lived(rule_of(keep=span(120)), [True, False, True, False, False, False])
    assert told(steps) == ["firing", None, None, None, "resolved", None]


def test_maintenance_holds_notices_back() -> None:
    """It is on record all the while; what still fires at the end is told then."""
    muted = [True, True, True]
    steps = lived(rule_of(), [True, True, True, True], muted)
    assert steps[0].change == "fired"
    assert steps[0].alert is not None
    assert steps[0].alert.muted
    assert told(steps) == [None, None, None, "firing"]
    assert told(lived(rule_of(), [True, True, False, False], muted)) == [None] * 4


def test_alerts_of_a_rule_are_told_apart_by_their_labels() -> None:
    """Each goes its own way; which they are does not depend on the order of labels."""
    rule = rule_of()
    other = Finding(labels={"task": "b"}, value=2, summary="2 runs failed")
    first = advance({}, [FOUND, other], rule, MINUTE_NS, muted=False)
    kept = {one: found.alert for one, found in first.items() if found.alert is not None}
    then = advance(kept, [other], rule, 2 * MINUTE_NS, muted=False)
    assert {one: found.tell for one, found in then.items()} == {
        alert_id(rule, {"task": "a"}): "resolved", alert_id(rule, {"task": "b"}): None,
    }  # fmt: skip
    assert alert_id(rule, {"a": "1", "b": "2"}) == alert_id(rule, {"b": "2", "a": "1"})


@given(
    st.lists(st.booleans(), max_size=60),
    st.lists(st.booleans(), max_size=60),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 20),
)
def test_what_is_told_makes_sense_to_who_hears_it(
    found: list[bool], muted: list[bool], hold: int, keep: int, cool_down: int
) -> None:
    """An end follows a beginning, once; between two beginnings lies the cool-down; and the record
    of what happened alternates."""
    rule = rule_of(
        hold=span(60 * hold), keep=span(60 * keep), cool_down=span(60 * cool_down),
        repeat_every=span(0),
    )  # fmt: skip
    steps = lived(rule, found, muted)
    heard = [what for what in told(steps) if what]
    assert heard == (["firing", "resolved"] * len(heard))[: len(heard)]
    begun = [minute for minute, what in enumerate(told(steps)) if what == "firing"]
    assert all(b - a >= cool_down for a, b in pairwise(begun))
    changes = [one.change for one in steps if one.change]
    assert changes == (["fired", "resolved"] * len(changes))[: len(changes)]

"""Rule files: what is wrong with them is told whole, and costs bounded time."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from projections.mapping.rules.files import builtin_rules, load_rules
from projections.mapping.rules.filters import parse_filter
from projections.mapping.rules.identity import NEEDS_LIMIT, Need, identity_keys, whole_of
from projections.mapping.rules.problems import SHOWN_LIMIT, BadRules
from projections.mapping.rules.ruleset import PROBLEMS_LIMIT, RuleSet, content_of

RULE = {"id": "r", "match": {"attr.x": "*"}, "key": ["attr.k"]}


def _problems(*rules: Any, **file: Any) -> list[str]:
    """What is told of a file with these rules."""
    with pytest.raises(BadRules) as caught:
        RuleSet(content_of([("f.toml", {"version": 1, "rule": list(rules)} | file)]))
    return [str(problem) for problem in caught.value.problems]


def _one(**changes: Any) -> str:
    (problem,) = _problems(RULE | changes)
    return problem


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"atempt": "attr.n"}, "key 'atempt': this key is unknown; did you mean 'attempt'?"),
        ({"role": "atempt"}, "did you mean 'attempt'?"),
        ({"match": {"atr.x": "*"}}, "'atr.x' is no source; did you mean 'attr.NAME'?"),
        ({"match": {"attr.x": {}}}, "a condition is a text, a number, true or false"),
        ({"match": {"parent:attr.x": "*"}}, "a rule is chosen by one event's own values"),
        ({"match": {"attr.x": []}}, "an empty list holds for nothing"),
        ({"key": "attr.k"}, "a key is a list of sources"),
        ({"key": ["attr.k | regex '(a'"]}, "no regular expression of RE2: missing )"),
        ({"key": ["attr.k | regex 'a'"]}, "has no group"),
        ({"key": ["attr.k | regex '(" + "a" * 3_000 + ")'"]}, "may have 2000 characters"),
        ({"key": ["attr.k | regex '((a{100}){100}){100}'"]}, "no regular expression of RE2"),
        ({"key": ["attr.k | ad 1"]}, "'ad' is no filter; did you mean 'add'?"),
        ({"key": ["attr.k | add one"]}, "takes a whole number"),
        ({"key": ["attr.k | default x"]}, "no JSON value"),
        ({"key": ["attr.k | nth 1"]}, "its source must be `event[…]`"),
        ({"key": ["parent:parent:parent:parent:attr.k"]}, "3 times"),
        ({"key": ["parent:parent:attr.k"]}, "key 'related': say in which scopes"),
        ({"task_id": {"join": ["attr.a"]}}, "at least two sources"),
        ({"task_id": {"join": ["attr.a", "attr.b"], "wth": "."}}, "did you mean 'with'?"),
        ({"status": [{"is": "sucess"}]}, "status 1: 'sucess' is no word for a result; did you"),
        ({"status": [{"is": "ok", "from": "attr.x"}]}, "either `is` or `from`"),
        ({"status": {"is": "ok"}}, "statuses are a list"),
        ({"split": {"end": {}}}, "a table with at least `start`"),
        ({"split": {"start": {"attr": "x"}}}, "an event has `name` and `attr.NAME`"),
        ({"identity": "key"}, "write \"span\", \"key+attempt\", or a list of sources"),
        ({"identity": "key+attempt"}, "needs an `attempt` that is said"),
        ({"identity": ["parent:attr.x"]}, "must be the span's own"),
        ({"role": "detail"}, "key 'attempt': must be said"),
        ({"signal": "log"}, 'a log record can be `"detail"` or `"ignore"`'),
        ({"version": 0}, "a version is a whole number from 1"),
        ({"new_run_on_attempt_1": "yes"}, "write true or false"),
        ({"only_ends": True, "role": "run"}, "only an `attempt` can: it is one where none runs"),
        ({"shows_running": True}, "only what tells more of an attempt can, a `detail`"),
        ({"shows_running": True, "role": "detail", "attempt": "attr.n"}, "say which task runs"),
        ({"like": "gone"}, "there is no rule 'gone'"),
    ],
)  # fmt: skip
def test_a_problem_names_file_rule_and_key(changes: dict[str, Any], told: str) -> None:
    """Each mistake is told once, with where it is and what to do."""
    problem = _one(**changes)
    assert problem.startswith("f.toml, rule 'r', key ")
    assert told in problem


def test_every_problem_is_told_at_once() -> None:
    """Two rules with two mistakes each are four problems."""
    told = _problems(
        RULE | {"rol": "run", "key": []}, {"id": "s", "match": {"attr.x": "*"}, "queu": "attr.q"}
    )
    assert len(told) == 4


def test_equal_ids_and_circles() -> None:
    """An id stands once; a rule is not like itself, by any way."""
    assert "this id is taken already, in f.toml" in _problems(RULE, RULE)[0]
    told = _problems(RULE | {"like": "s"}, RULE | {"id": "s", "like": "r"})
    assert len(told) == 2
    assert "like each other in a circle" in told[0]


def test_the_top_of_a_file() -> None:
    """What belongs into a rule is told so; the format has a version."""
    assert "belongs into a [[rule]]" in _problems(RULE, key=["attr.x"])[0]
    assert "write `version = 1`" in _problems(RULE, version=2)[0]
    assert "[[rule]] tables" in _problems(rule={})[0]


def test_a_rule_like_another(tmp_path: Path) -> None:
    """It takes over what it does not say itself, but for the match."""
    (tmp_path / "mine.toml").write_text(
        'version = 1\n[[rule]]\nid = "mine"\nlike = "celery.run"\n'
        'match = { "attr.celery.task_name" = "x" }\ngroup = "trace_id"\n'
    )
    rules = load_rules(tmp_path)
    mine, celery = rules.rules[0], rules.by_id["celery.run"]
    assert (mine.id, mine.system, mine.status) == ("mine", "celery", celery.status) or (
        [s.word for s in mine.status] == [s.word for s in celery.status]
    )
    assert len(mine.match) == 1
    assert set(mine.fields) == {*celery.fields, "group"}


def test_content_makes_the_same_rules_again() -> None:
    """What is stored as JSON gives equal rules, of the same digest."""
    rules = builtin_rules()
    again = RuleSet(json.loads(json.dumps(rules.content)))
    assert again.digest == rules.digest
    assert again.slots.texts == rules.slots.texts
    assert [rule.id for rule in again.rules] == [rule.id for rule in rules.rules]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """Broken TOML, no text, too large, and a directory that is not there."""
    for name, data in (("a", b"version = "), ("b", b"\xff"), ("c", b"#" * (9 << 20))):
        (tmp_path / f"{name}.toml").write_bytes(data)
    with pytest.raises(BadRules) as caught:
        load_rules(tmp_path)
    assert [problem.message[:22] for problem in caught.value.problems] == [
        "cannot be read as TOML"
    ] * 3
    with pytest.raises(BadRules, match="no such directory"):
        load_rules(tmp_path / "gone")


def test_what_identifies_is_left_whole() -> None:
    """What tells runs and attempts apart, and a task's name where it has no id; nothing else."""
    named = RULE | {"task_name": "attr.name", "identity": ["attr.job"], "attempt": "attr.n"}
    known = RULE | {"id": "s", "task_id": "attr.task", "task_name": "attr.title"}
    rules = RuleSet(content_of([("f.toml", {"version": 1, "rule": [named, known]})]))
    assert identity_keys(rules) == {"k", "name", "job", "n", "task"}


def test_a_key_without_a_namespace_is_needed_where_its_rule_can_match() -> None:
    """`name` is; keys with a namespace, of resources and of parents are needed everywhere."""
    match = {"name": "node", "attr.type": "Pod", "attr.id": "*", "attr.no": "!", "kind": "server"}
    local = RULE | {"match": match, "key": ["attr.name", "attr.a.b", "resource.r"]}
    other = RULE | {"id": "s", "match": {"name": "x*", "scope": "s"}, "key": ["attr.k"]}
    above = RULE | {"id": "t", "key": ["parent:attr.up"], "related": ["s"]}
    whole = whole_of(
        RuleSet(content_of([("f.toml", {"version": 1, "rule": [local, other, above]})]))
    )
    assert whole.keys == {"a.b", "r", "k", "up"}
    marks = (("type", "Pod"), ("id", None))
    assert whole.needs == (Need(frozenset({"name"}), ("node",), marks),)


def test_built_in_rules_leave_nobody_elses_name_whole() -> None:
    """Argo's keys are those of its own nodes."""
    whole = whole_of(builtin_rules())
    assert not {"name", "namespace", "hostname"} & whole.keys
    assert any({"name", "namespace"} <= need.keys for need in whole.needs)
    assert whole.keys.union(*(need.keys for need in whole.needs)) == identity_keys(builtin_rules())


def test_more_needs_than_an_event_may_cost_hold_everywhere() -> None:
    """What a scrubber looks for in an event is bounded; no rule loses what it needs."""
    many = [RULE | {"id": f"r{n}", "key": [f"attr.k{n}"]} for n in range(NEEDS_LIMIT + 9)]
    whole = whole_of(RuleSet(content_of([("f.toml", {"version": 1, "rule": many})])))
    assert len(whole.needs) == NEEDS_LIMIT
    assert len(whole.keys) == 9


def test_ten_thousand_rules() -> None:
    """They are read in seconds; if all are wrong, a message lists a few and counts the others."""
    began = time.process_time()
    good = [RULE | {"id": f"r{n}", "match": {f"attr.x{n}": "*"}} for n in range(10_000)]
    assert len(RuleSet(content_of([("f.toml", {"version": 1, "rule": good})])).rules) == 10_000
    bad = [rule | {"kay": "x", "like": f"s{n}"} for n, rule in enumerate(good)]
    with pytest.raises(BadRules) as caught:
        RuleSet(content_of([("f.toml", {"version": 1, "rule": bad})]))
    assert len(caught.value.problems) >= PROBLEMS_LIMIT
    assert len(str(caught.value).splitlines()) == SHOWN_LIMIT + 1
    assert time.process_time() - began < 20
    many = [RULE | {"id": f"r{n}"} for n in range(20_001)]
    with pytest.raises(BadRules, match="at most 20000"):
        content_of([("f.toml", {"version": 1, "rule": many})])


@pytest.mark.parametrize(("got", "made"), [("a", "b"), ("x", "rest"), (7, "rest"), (None, None)])
def test_a_star_in_a_table_stands_for_whatever_else_is_there(got: Any, made: Any) -> None:
    """But not for what is absent."""
    table = parse_filter('map {"a": "b", "*": "rest"}')
    assert table(got, b"") == made

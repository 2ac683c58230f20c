"""Which rule makes which setting."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.policies.reading import built_in, read_policies
from projections.policies.resolving import PolicySet
from projections.policies.rule import WEIGHTS, Case

CASE = Case(
    fingerprint="5f1c", task="invoice.charge", component="billing", environment="prod",
    category="network",
)  # fmt: skip
_WHEN = {
    "error": "5F1C", "task": "invoice.charge", "component": "billing", "environment": "prod",
    "category": "network",
}  # fmt: skip


def policies(*rules: str, defaults: str = "") -> PolicySet:
    """The policies of these rules alone."""
    text = "".join(f'[[rule]]\nid = "r{n}"\n{rule}\n' for n, rule in enumerate(rules))
    return read_policies(f"inherit = false\n[defaults]\n{defaults}\n{text}", "p.toml")


@given(st.permutations(list(WEIGHTS)), st.integers(1, 31))
def test_what_is_more_specific_wins_wherever_it_stands(order: list[str], chosen: int) -> None:
    """Of rules for single parts of a case the strongest part decides, in any order of the file."""
    parts = [key for at, key in enumerate(WEIGHTS) if chosen >> at & 1]
    rules = [
        f'when = {{ {key} = "{_WHEN[key]}" }}\nmax_attempts = {WEIGHTS[key]}'
        for key in order
        if key in parts
    ]
    values = policies(*rules, defaults="max_attempts = 40").policy(CASE).values
    assert values["max_attempts"] == max(WEIGHTS[key] for key in parts)


def test_two_parts_are_stronger_than_one_of_them() -> None:
    """A rule for a component in an environment wins over one for the component."""
    found = policies(
        'when = { component = "billing", environment = "prod" }\nmax_attempts = 9',
        'when = { component = "billing" }\nmax_attempts = 2\nrepairs = 3',
    ).policy(CASE)
    assert (found.values["max_attempts"], found.values["repairs"]) == (9, 3)


def test_a_name_wins_over_a_pattern_and_the_later_over_the_earlier() -> None:
    """Among rules for the same parts."""
    found = policies(
        'when = { component = "billing" }\nmax_attempts = 5',
        'when = { component = "bill*" }\nmax_attempts = 6\nrepairs = 1',
        'when = { component = "*ing" }\nrepairs = 2',
    ).policy(CASE)
    assert (found.values["max_attempts"], found.values["repairs"]) == (5, 2)


@pytest.mark.parametrize(
    ("pattern", "takes"),
    [("billing", True), ("bill*", True), ("*", True), ("bill", False), ("[b]*", False),
     ("billin?", False)],
)  # fmt: skip
def test_only_the_star_stands_for_letters(pattern: str, takes: bool) -> None:
    """Brackets and question marks are themselves."""
    found = policies(f'when = {{ component = "{pattern}" }}\nmax_attempts = 7').policy(CASE)
    assert (found.values["max_attempts"] == 7) is takes


def test_tables_are_inherited_key_by_key() -> None:
    """A rule that only says the cap keeps the kind of the one behind it, and both are named."""
    found = policies(
        'when = { category = "network" }\nbackoff = { cap_s = 5 }',
        defaults='backoff = { kind = "linear", base_s = 2 }',
    ).policy(CASE)
    assert found.values["backoff.kind"] == "linear"
    assert found.values["backoff.cap_s"] == 5
    assert [(o.rule, o.line, o.settings) for o in found.origins] == [
        ("r0", 4, ("backoff.cap_s",)), ("defaults", 2, ("backoff.base_s", "backoff.kind")),
    ]  # fmt: skip


def test_without_any_rule_nothing_is_tried_again() -> None:
    """A file that says nothing and inherits nothing is no licence."""
    assert read_policies("inherit = false", "p").policy(CASE).values["retry"] == "never"


def test_a_task_is_known_by_its_id_or_its_name() -> None:
    """Names say what ids of some orchestrators don't."""
    rules = policies('when = { task = "charge" }\nmax_attempts = 8')
    assert rules.policy(Case(task="17", task_name="charge")).values["max_attempts"] == 8
    assert rules.policy(Case(task="17")).values["max_attempts"] == 1


def test_own_defaults_are_weaker_than_a_shipped_rule_of_a_category() -> None:
    """As the page says; a rule for the category is stronger than both."""
    own = read_policies("[defaults]\nmax_attempts = 9\n", "p")
    shipped = built_in().policy(CASE).values["max_attempts"]
    assert own.policy(CASE).values["max_attempts"] == shipped != 9
    assert own.policy(Case(category="execution")).values["max_attempts"] == 9


def test_what_is_kept_of_long_cases_is_bounded() -> None:
    """Whoever asks says the texts; all of them together are bounded, not their number alone."""
    held = built_in()
    tracemalloc.start()
    try:
        for number in range(900):
            held.policy(Case(task=f"{number:032768}"))
        size_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size_bytes < 24 << 20

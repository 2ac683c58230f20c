"""Which attributes rules need whole: those that identify tasks and runs, and those that join."""

from collections.abc import Iterator
from typing import Final

from projections.mapping.rules.rule import Expression, Rule, Value
from projections.mapping.rules.ruleset import RuleSet

FIELDS: Final = ("task_id", "run_id", "group", "retry_of", "parents", "causes", "executor")
"""Fields that tie facts together."""


def identity_keys(rules: RuleSet) -> frozenset[str]:
    """Keys of attributes whose values must stay equal, whatever they look like."""
    sources = (text for rule in rules.rules for value in _values(rule) for text in _sources(value))
    found = (text.partition(".") for text in sources)
    return frozenset(key for kind, _, key in found if kind in ("attr", "resource"))


def _values(rule: Rule) -> list[Value]:
    """The values of a rule that tell runs, attempts and tasks apart; a task that has no id is known
    by its name."""
    names = FIELDS if "task_id" in rule.fields else (*FIELDS, "task_name")
    told = [rule.fields[name] for name in names if name in rule.fields]
    return [*rule.key, *rule.identity, *([rule.attempt] if rule.attempt else []), *told]


def _sources(value: Value) -> Iterator[str]:
    for one in value:
        if isinstance(one, Expression):
            yield one.source.own
        else:
            for part in one.parts:
                yield from _sources(part)

"""Which attributes rules need whole: those that identify tasks and runs, and those that join."""

from collections.abc import Iterator
from typing import Final

from projections.mapping.rules.rule import Expression, Value
from projections.mapping.rules.ruleset import RuleSet

FIELDS: Final = ("task_id", "run_id", "group", "retry_of", "parents", "causes", "executor")
"""Fields that tie facts together."""


def identity_keys(rules: RuleSet) -> frozenset[str]:
    """Keys of attributes whose values must stay equal, whatever they look like."""
    values = [
        value
        for rule in rules.rules
        for value in (*rule.key, *(rule.fields[name] for name in FIELDS if name in rule.fields))
    ]
    sources = (text for value in values for text in _sources(value))
    found = (text.partition(".") for text in sources)
    return frozenset(key for kind, _, key in found if kind in ("attr", "resource"))


def _sources(value: Value) -> Iterator[str]:
    for one in value:
        if isinstance(one, Expression):
            yield one.source.own
        else:
            for part in one.parts:
                yield from _sources(part)

"""Which attributes rules need whole: those that identify tasks and runs, and those that join.

A key with a namespace (`celery.task_name`) says who wrote it, and is needed wherever it stands. One
without (`name`, `namespace`) is anybody's: it is needed only in events that its rule can take.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from projections.mapping.rules.patterns import is_pattern
from projections.mapping.rules.rule import Expression, Rule, Value, When
from projections.mapping.rules.ruleset import RuleSet
from projections.mapping.rules.sources import Source

FIELDS: Final = ("task_id", "run_id", "group", "retry_of", "parents", "causes", "executor")
"""Fields that tie facts together."""


NEEDS_LIMIT: Final = 64
"""Each may cost a look at an event; the keys of further rules are needed everywhere."""


class Need(NamedTuple):
    """Keys of an event's own attributes that a rule needs whole, where it can take the event.

    An event that it takes has all `names` among its strings, and all `marks` among its attributes:
    a key, and its value if that is a text.
    """

    keys: frozenset[str]
    names: tuple[str, ...]
    marks: tuple[tuple[str, str | None], ...]


class Whole(NamedTuple):
    """What is left whole: `keys` wherever they stand, and `needs` of single rules."""

    keys: frozenset[str]
    needs: tuple[Need, ...] = ()


def identity_keys(rules: RuleSet) -> frozenset[str]:
    """Keys of attributes whose values must stay equal, whatever they look like."""
    return frozenset(_key(source) for rule in rules.rules for source in _identifying(rule))


def whole_of(rules: RuleSet) -> Whole:
    """The same keys, each with where it is needed."""
    keys: set[str] = set()
    needs: dict[Need, None] = {}
    for rule in rules.rules:
        found = set(_identifying(rule))
        local = frozenset(_key(source) for source in found if _is_anybodys(source))
        keys |= {_key(source) for source in found if not _is_anybodys(source)}
        need = _need(rule, local)
        if local and (need.names or need.marks) and len(needs) < NEEDS_LIMIT:
            needs[need] = None
        else:
            keys |= local
    return Whole(frozenset(keys), tuple(need for need in needs if not need.keys <= keys))


def _identifying(rule: Rule) -> Iterator[Source]:
    """The sources of attributes that identify, among a rule's."""
    for value in _values(rule):
        yield from (s for s in _sources(value) if s.own.startswith(("attr.", "resource.")))


def _key(source: Source) -> str:
    return source.own.partition(".")[2]


def _is_anybodys(source: Source) -> bool:
    """Whether its key says nothing of who wrote it, and stands in the event that the rule takes."""
    return source.own.startswith("attr.") and not source.is_open and "." not in _key(source)


def _need(rule: Rule, keys: frozenset[str]) -> Need:
    names: list[str] = []
    marks: list[tuple[str, str | None]] = []
    for when in rule.match:
        if when.source.is_open or not _must_be(when):
            continue
        text = when.wanted if isinstance(when.wanted, str) else None
        text = None if text is None or is_pattern(text) else text
        if when.source.own.startswith("attr."):
            marks.append((_key(when.source), text))
        elif when.source.own in ("name", "event_name") and text is not None:
            names.append(text)
    return Need(keys, tuple(names), tuple(marks))


def _must_be(when: When) -> bool:
    """Whether a condition fails where its source is absent."""
    return not when.test(None)


def _values(rule: Rule) -> list[Value]:
    """The values of a rule that tell runs, attempts and tasks apart; a task that has no id is known
    by its name."""
    names = FIELDS if "task_id" in rule.fields else (*FIELDS, "task_name")
    told = [rule.fields[name] for name in names if name in rule.fields]
    return [*rule.key, *rule.identity, *([rule.attempt] if rule.attempt else []), *told]


def _sources(value: Value) -> Iterator[Source]:
    for one in value:
        if isinstance(one, Expression):
            yield one.source
        else:
            for part in one.parts:
                yield from _sources(part)
